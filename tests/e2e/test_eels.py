"""EELS, the executable specification, re-executes what our validators produced and agrees on every root."""

from __future__ import annotations

import subprocess
from pathlib import Path

import orjson
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from tests.e2e.devnet import Devnet, wait_for
from tests.e2e.environments import python_environment

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(1_500)]

ORACLE = Path(__file__).parents[1] / "oracle"
NOTEBOOK = Path(__file__).parents[1] / "kit" / "contracts" / "Notebook.json"
MNEMONIC = "test test test test test test test test test test test junk"
WITHDRAWAL_REQUESTS = "0x00000961Ef480Eb55e80D19ad83579A64c007002"
CONSOLIDATION_REQUESTS = "0x0000BBdDc7CE488642fb579F8B00f3a590007251"
NOTE_SELECTOR = "5284a245"


class Wallet:
    """An account that sends one transaction after the other."""

    def __init__(self, devnet: Devnet, index: int) -> None:
        Account.enable_unaudited_hdwallet_features()
        path = f"m/44'/60'/0'/0/{index}"
        self.account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=path)
        self.devnet = devnet
        count = devnet.rpc("eth_getTransactionCount", self.account.address, "pending")
        self.nonce = int(str(count), 16)

    def send(self, **fields: object) -> str:
        """Sign, send; gives the hash."""
        transaction = {"chainId": 900, "gas": 1_000_000, "value": 0, "nonce": self.nonce} | fields
        if "gasPrice" not in fields:
            fees = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
            transaction = fees | transaction
        signed = self.account.sign_transaction(transaction)  # type: ignore[arg-type]  # its type names no call data
        self.nonce += 1
        return str(self.devnet.rpc("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex()))


def receipt_of(devnet: Devnet, tx_hash: str) -> dict[str, object]:
    """Receipt of a transaction, once it is mined."""
    found = wait_for(
        f"receipt of {tx_hash}", lambda: devnet.rpc("eth_getTransactionReceipt", tx_hash)
    )
    assert isinstance(found, dict)
    return found


def send_everything(devnet: Devnet) -> list[dict[str, object]]:
    """One transaction of each kind, and each kind of request."""
    wallet = Wallet(devnet, 7)
    me = wallet.account.address
    bytecode = orjson.loads(NOTEBOOK.read_bytes())["bytecode"]
    creation = wallet.send(data=bytecode + "07".rjust(64, "0"))
    notebook = to_checksum_address(str(receipt_of(devnet, creation)["contractAddress"]))
    slots = [{"address": notebook, "storageKeys": ["0x" + "00" * 32]}]
    note = "0x" + NOTE_SELECTOR + "05".rjust(64, "0")
    delegate: LocalAccount = Account.create()
    authorization = delegate.sign_authorization({"chainId": 900, "address": notebook, "nonce": 0})
    hashes = [
        wallet.send(to=me, value=1, gasPrice=10**10, gas=21_000),
        wallet.send(to=notebook, data=note, gasPrice=10**10, accessList=slots),
        wallet.send(to=notebook, data=note),
        wallet.send(to=delegate.address, data=note, authorizationList=[authorization]),
        wallet.send(to=notebook, data="0xdeadbeef"),
        wallet.send(to=WITHDRAWAL_REQUESTS, value=10**9, data="0x" + "11" * 56),
        wallet.send(to=CONSOLIDATION_REQUESTS, value=10**9, data="0x" + "22" * 96),
    ]
    return [receipt_of(devnet, creation), *(receipt_of(devnet, tx_hash) for tx_hash in hashes)]


def test_eels_agrees_on_every_block(devnet: Devnet, tmp_path: Path) -> None:
    receipts = send_everything(devnet)
    assert [receipt["type"] for receipt in receipts[:5]] == ["0x2", "0x0", "0x1", "0x2", "0x4"]
    assert [receipt["status"] for receipt in receipts] == ["0x1"] * 5 + ["0x0"] + ["0x1"] * 2
    last = max(int(str(receipt["blockNumber"]), 16) for receipt in receipts) + 1
    wait_for("a block after the last receipt", lambda: devnet.number() >= last)
    blocks = [devnet.rpc("debug_getRawBlock", hex(number)) for number in range(last + 1)]
    [genesis_file] = [*devnet.data.rglob("genesis.json")]
    alloc = orjson.loads(genesis_file.read_bytes())["alloc"]
    chain_file = tmp_path / "chain.json"
    chain_file.write_bytes(orjson.dumps({"chainId": 900, "alloc": alloc, "blocks": blocks}))

    python = python_environment(ORACLE / "requirements-eels.lock")
    script = ORACLE / "scripts" / "reexecute.py"
    done = subprocess.run(
        [str(python), str(script), str(chain_file)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    report = orjson.loads(done.stdout)
    head = devnet.rpc("eth_getBlockByNumber", hex(last), False)
    assert isinstance(head, dict)
    assert (report["blocks"], report["hash"]) == (last + 1, head["hash"])
    assert report["transactions"] >= len(receipts)
