"""A bounded stream of transfers into one RPC port: `python -m tests.benchmarks.load URL SECONDS RATE`.

Prints JSON: sent, refused, seconds, and the last hash of each sender. Runs in a process of its own, so that its CPU is
not the node's. Signing happens before the clock starts.
"""

from __future__ import annotations

import sys
import time
from http.client import HTTPConnection
from threading import Thread
from urllib.parse import urlsplit

import orjson
from coincurve import PrivateKey
from eth_account import Account

from node.eth.hashing import keccak256
from tests.kit.transfers import Sender, funding, sender, sign_transfer

SENDERS = 200
"""Accounts that send; each has its transactions in nonce order on one connection."""

CONNECTIONS = 8
"""Keep-alive connections to the port."""

CALLS_PER_REQUEST = 10
"""Transactions in one JSON-RPC batch."""

FUNDING_WEI = 10**18
"""What each sender gets first."""

MNEMONIC = "test test test test test test test test test test test junk"


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=60)

    def batch(self, calls: list[tuple[str, list[object]]]) -> list[dict[str, object]]:
        """Answers of a batch, in order."""
        body = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": parameters}
            for place, (method, parameters) in enumerate(calls)
        ]
        headers = {"content-type": "application/json"}
        self._connection.request("POST", "/", orjson.dumps(body), headers)
        answers: list[dict[str, object]] = orjson.loads(self._connection.getresponse().read())
        return answers

    def call(self, method: str, *parameters: object) -> object:
        """Result of one call; an error answer raises."""
        [answer] = self.batch([(method, list(parameters))])
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]


def banker() -> Sender:
    """A funded account of every devnet: the mnemonic's tenth."""
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/9")
    key = PrivateKey(bytes(account.key))
    return Sender(key, keccak256(key.public_key.format(compressed=False)[1:])[12:])


def fund(url: str, senders: list[Sender]) -> None:
    """Give every sender its first money and wait until it has it."""
    client, bank = Client(url), banker()
    nonce = int(
        str(client.call("eth_getTransactionCount", "0x" + bank.address.hex(), "pending")), 16
    )
    raws = list(funding(bank, senders, nonce=nonce, value=FUNDING_WEI))
    for start in range(0, len(raws), 50):
        calls: list[tuple[str, list[object]]] = [
            ("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in raws[start : start + 50]
        ]
        refused = [answer for answer in client.batch(calls) if "error" in answer]
        assert not refused, refused[0]
    last = "0x" + senders[-1].address.hex()
    end = time.monotonic() + 120
    while int(str(client.call("eth_getBalance", last, "latest")), 16) == 0:
        assert time.monotonic() < end, "the senders were not funded in time"
        time.sleep(0.2)  # noqa: TID251  # a load generator has no loop


def main(url: str, seconds: float, rate: float) -> dict[str, object]:
    """Send `rate` transfers a second for so many seconds."""
    salt = str(time.time_ns())
    senders = [sender(f"load {salt} {number}") for number in range(SENDERS)]
    fund(url, senders)
    rounds = int(rate * seconds) // SENDERS
    receiver = sender("receiver").address
    signed = [
        [sign_transfer(by, nonce=nonce, to=receiver) for by in senders] for nonce in range(rounds)
    ]
    hashes = [keccak256(raw) for raw in signed[-1]]
    refused: list[str] = []
    sent = [0] * CONNECTIONS
    start = time.monotonic() + 0.5

    def drive(lane: int) -> None:
        client = Client(url)
        mine = range(lane, SENDERS, CONNECTIONS)
        for nonce in range(rounds):
            due = start + (nonce * SENDERS) / rate
            time.sleep(max(0.0, due - time.monotonic()))  # noqa: TID251  # paces the load
            raws = [signed[nonce][place] for place in mine]
            for first in range(0, len(raws), CALLS_PER_REQUEST):
                chunk = raws[first : first + CALLS_PER_REQUEST]
                answers = client.batch(
                    [("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in chunk]
                )
                refused.extend(str(answer["error"]) for answer in answers if "error" in answer)
                sent[lane] += len(chunk)

    lanes = [Thread(target=drive, args=(lane,)) for lane in range(CONNECTIONS)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    elapsed = time.monotonic() - start
    return {
        "sent": sum(sent),
        "refused": len(refused),
        "refusals": refused[:5],
        "seconds": elapsed,
        "nonce": rounds,
        "senders": ["0x" + by.address.hex() for by in senders],
        "last": ["0x" + tx_hash.hex() for tx_hash in hashes],
    }


if __name__ == "__main__":
    print(orjson.dumps(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))).decode())  # noqa: T201
