"""Blocks full of blobs, all sent to one validator: `python -m tests.benchmarks.full_blob_blocks`, on a devnet of its own.

Every other validator fetches each blob from that one peer or from one that has it, checks it once and votes in time, or not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from node.eth.blobs import BLOBS_PER_TRANSACTION_MAX
from tests.e2e.devnet import Devnet, running_devnet, wait_for
from tests.e2e.test_blobs import VALIDATORS, wallet
from tests.kit.blobs import make_blob, sign_network_form

TRANSACTIONS: Final = 21
"""Seven blocks of three: a fourth of six blobs has no room in one."""

SENDERS: Final = 7
"""Accounts; a devnet funds ten."""


def signed() -> list[bytes]:
    """Transactions of six blobs each, no two of them the same; making a blob takes a third of a second."""
    forms = []
    for place in range(TRANSACTIONS):
        first = BLOBS_PER_TRANSACTION_MAX * place
        blobs = [make_blob(first + number) for number in range(BLOBS_PER_TRANSACTION_MAX)]
        nonce, by = divmod(place, SENDERS)
        forms.append(sign_network_form(wallet(by), blobs, nonce=nonce, max_fee_per_blob_gas=10**12))
    return forms


def send(devnet: Devnet, forms: list[bytes]) -> list[str]:
    """Send one account's transactions in order."""
    return [str(devnet.rpc("eth_sendRawTransaction", f"0x{one.hex()}")) for one in forms]


def blocks_of(devnet: Devnet, hashes: list[str]) -> Counter[int]:
    """How many of these transactions each block holds, as soon as all are in one."""

    def all_found() -> Counter[int] | None:
        receipts = [devnet.rpc("eth_getTransactionReceipt", one, validator=1) for one in hashes]
        found = [int(one["blockNumber"], 16) for one in receipts if isinstance(one, dict)]
        return Counter(found) if len(found) == len(hashes) else None

    return wait_for("all of them in blocks", all_found)


def main() -> None:
    """Measure."""
    forms = signed()
    with tempfile.TemporaryDirectory() as folder, running_devnet(Path(folder)) as devnet:
        devnet.wait_for_final(1)
        started = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as senders:
            sent = senders.map(lambda by: send(devnet, forms[by::SENDERS]), range(SENDERS))
            hashes = [one for of_sender in sent for one in of_sender]
        sent_s = time.monotonic() - started
        per_block = blocks_of(devnet, hashes)
        included_s = time.monotonic() - started
        devnet.wait_for_final(max(per_block))
        final_s = time.monotonic() - started
        checked = 'faultline_blobs_checked_total{outcome="held"}'
        checks = [int(devnet.metrics(validator)[checked]) for validator in VALIDATORS]
    blobs = {number: BLOBS_PER_TRANSACTION_MAX * per_block[number] for number in sorted(per_block)}
    sys.stdout.write(
        f"{BLOBS_PER_TRANSACTION_MAX * len(forms)} blobs: sent in {sent_s:.1f} s, in blocks after {included_s:.1f} s, "
        f"final after {final_s:.1f} s\nblobs of each block: {blobs}\nchecked by each validator: {checks}\n"
    )


if __name__ == "__main__":
    main()
