"""The L2 of a devnet of real processes: wallets, deposits, a dead sequencer, a split L1, a replica from nothing."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from tests.e2e.devnet import Devnet, RpcFailure, wait_for
from tests.e2e.environments import WALLETS, node_project
from tests.e2e.test_wallets import run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

REPLICA = 0
"""The bridge, which derives the L2 as any replica does."""

CHAIN_ID = 901
JUNK = "test test test test test test test test test test test junk"


def account(index: int) -> LocalAccount:
    """One of the funded accounts."""
    Account.enable_unaudited_hdwallet_features()
    found: LocalAccount = Account.from_mnemonic(JUNK, account_path=f"m/44'/60'/0'/0/{index}")
    return found


def transfer(sender: LocalAccount, nonce: int, to: str, value: int = 1) -> str:
    """A signed transfer on the L2, hex."""
    signed = sender.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": bytes.fromhex(to[2:]),
            "value": value,
            "gas": 21_000,
            "maxFeePerGas": 10**9,
            "maxPriorityFeePerGas": 1,
        }
    )
    return "0x" + signed.raw_transaction.hex()


def nonce_of(devnet: Devnet, sender: LocalAccount, replica: int | None = None) -> int:
    """An account's next nonce on the L2."""
    answer = devnet.l2_rpc("eth_getTransactionCount", sender.address, "latest", replica=replica)
    assert isinstance(answer, str)
    return int(answer, 16)


def balance_of(devnet: Devnet, address: str, replica: int | None = None) -> int:
    """Wei on the L2."""
    answer = devnet.l2_rpc("eth_getBalance", address, "latest", replica=replica)
    assert isinstance(answer, str)
    return int(answer, 16)


def l2_hash(devnet: Devnet, number: int, replica: int | None = None) -> str | None:
    """Hash of an L2 block of a node."""
    block = devnet.l2_rpc("eth_getBlockByNumber", hex(number), False, replica=replica)
    return str(block["hash"]) if isinstance(block, dict) else None


def nodes_agree(devnet: Devnet, number: int) -> bool:
    """Whether sequencer and replica hold one block at a number, and both call it safe."""
    try:
        hashes = {l2_hash(devnet, number), l2_hash(devnet, number, REPLICA)}
        safe = min(devnet.l2_number("safe"), devnet.l2_number("safe", REPLICA))
    except OSError:
        return False
    return len(hashes) == 1 and None not in hashes and safe >= number


def answers(devnet: Devnet, replica: int | None = None) -> bool:
    """Whether an L2 node serves JSON-RPC."""
    try:
        return devnet.l2_rpc("eth_chainId", replica=replica) == hex(CHAIN_ID)
    except OSError:
        return False


@dataclass(slots=True, kw_only=True)
class Load:
    """A user who sends transfers one after the other until told to stop."""

    devnet: Devnet
    """Whose L2."""
    sender: LocalAccount
    """Who sends."""
    acknowledged: list[str] = field(default_factory=list)
    """Hashes of transactions whose sending was answered."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send; what is refused or not answered is tried again with the nonce that the node tells."""
        nonce = 0
        while not self._stopped.is_set():
            try:
                raw = transfer(self.sender, nonce, "0x" + "10" * 20)
                self.acknowledged.append(str(self.devnet.l2_rpc("eth_sendRawTransaction", raw)))
                nonce += 1
            except (OSError, RpcFailure):
                self._stopped.wait(0.2)
                try:
                    nonce = nonce_of(self.devnet, self.sender)
                except OSError:
                    continue  # It is down: that is what is being tested.

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()


def wallet_script(devnet: Devnet, tmp_path: Path, script: str, *arguments: str) -> str:
    """Run a script of tests/e2e/wallets; gives what it printed."""
    folder = tmp_path / "tests" / "e2e" / "wallets"
    folder.mkdir(parents=True)
    for file in WALLETS.glob("*.mjs"):
        shutil.copy(file, folder / file.name)
    contracts = WALLETS.parents[1] / "kit" / "contracts"
    shutil.copytree(contracts, tmp_path / "tests" / "kit" / "contracts")
    (folder / "node_modules").symlink_to(node_project() / "node_modules")
    portal = devnet.addresses()["l1"]["portal"]
    return run(["node", script, *arguments, portal], folder)


def test_viem_on_both_chains(devnet_to_break: Devnet, tmp_path: Path) -> None:
    devnet = devnet_to_break
    urls = (devnet.rpc_url(), devnet.l2_url(), devnet.l2_url(REPLICA))
    assert wallet_script(devnet, tmp_path, "viem_rollup.mjs", *urls).strip().startswith("{")


def test_ethers_hashes_the_l2_as_its_nodes_do(devnet_to_break: Devnet, tmp_path: Path) -> None:
    devnet = devnet_to_break
    # Given transactions of every type that ends in a receipt of its own, a deposit among them
    sender = account(4)
    devnet.faultline("deposit", "0.5", "--to", "0x" + "e7" * 20)
    legacy = sender.sign_transaction(
        {
            "chainId": CHAIN_ID,
            "nonce": nonce_of(devnet, sender),
            "to": bytes.fromhex("e7" * 20),
            "value": 1,
            "gas": 21_000,
            "gasPrice": 10**9,
        }
    )
    devnet.l2_rpc("eth_sendRawTransaction", "0x" + legacy.raw_transaction.hex())
    raw = transfer(sender, nonce_of(devnet, sender), "0x" + "e7" * 20)
    receipt = devnet.l2_rpc("eth_sendRawTransactionSync", raw)
    assert isinstance(receipt, dict)
    number = int(receipt["blockNumber"], 16)
    wait_for("both nodes to hold them", lambda: nodes_agree(devnet, number))
    urls = (devnet.l2_url(), devnet.l2_url(REPLICA))
    assert wallet_script(devnet, tmp_path, "ethers_rollup.mjs", *urls).strip().startswith("{")


def test_a_killed_sequencer_loses_nothing_that_it_acknowledged(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    load = Load(devnet=devnet, sender=account(6))
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        for _ in range(3):
            sent = len(load.acknowledged)
            wait_for("transfers to go through", partial(_exceeds, load.acknowledged, sent + 30))
            devnet.kill_process("sequencer")
            wait_for("the sequencer to answer again", lambda: answers(devnet))
    finally:
        load.stop()
        thread.join()
    numbers: dict[int, list[str]] = {}
    for transaction_hash in load.acknowledged:
        receipt = devnet.l2_rpc("eth_getTransactionReceipt", transaction_hash)
        assert isinstance(receipt, dict), f"{transaction_hash} was acknowledged and is lost"
        numbers.setdefault(int(receipt["blockNumber"], 16), []).append(transaction_hash)
    assert len(set(load.acknowledged)) == len(load.acknowledged)
    assert nonce_of(devnet, load.sender) >= len(load.acknowledged)
    last = max(numbers)
    wait_for("L1 to hold them all", lambda: nodes_agree(devnet, last))
    for number, hashes in numbers.items():
        block = devnet.l2_rpc("eth_getBlockByNumber", hex(number), False, replica=REPLICA)
        assert isinstance(block, dict)
        assert set(hashes) <= set(block["transactions"]), "L1 holds what was acknowledged"


def _exceeds(found: list[str], count: int) -> bool:
    return len(found) > count


@pytest.mark.parametrize(
    "fault", ["garbage-batch", "bomb-batch", "truncated-batch", "overlapping-batch"]
)
def test_whatever_is_posted_all_nodes_agree_and_users_lose_nothing(
    devnet_to_break: Devnet, fault: str
) -> None:
    devnet, sender = devnet_to_break, account(7)
    devnet.l2_rpc("devnet_break", fault, {"count": 1})
    nonce = nonce_of(devnet, sender)
    sent = [
        str(devnet.l2_rpc("eth_sendRawTransaction", transfer(sender, nonce + i, "0x" + "11" * 20)))
        for i in range(5)
    ]

    def is_used_up() -> bool:
        return devnet.l2_rpc("devnet_breaks") == []

    wait_for("the fault to happen", is_used_up)

    def are_safe() -> bool:
        receipts = [devnet.l2_rpc("eth_getTransactionReceipt", one) for one in sent]
        found = [int(one["blockNumber"], 16) for one in receipts if isinstance(one, dict)]
        return len(found) == len(sent) and devnet.l2_number("safe") >= max(found)

    wait_for("the transfers to be on L1", are_safe)
    # L1 may be reorganised once more, and then they come back
    wait_for("them to stay", lambda: nonce_of(devnet, sender) == nonce + len(sent))
    wait_for("the replica to agree", lambda: nodes_agree(devnet, devnet.l2_number("safe")))


def test_unsafe_blocks_of_two_minds_end_with_l1(devnet_to_break: Devnet) -> None:
    devnet, sender = devnet_to_break, account(7)
    before = equivocations(devnet)
    for _ in range(10):
        devnet.l2_rpc("devnet_break", "equivocate-unsafe", {"count": 1})
        nonce = nonce_of(devnet, sender)
        sent = devnet.l2_rpc("eth_sendRawTransaction", transfer(sender, nonce, "0x" + "12" * 20))
        receipt = devnet.l2_rpc("eth_getTransactionReceipt", sent)
        assert isinstance(receipt, dict)
        number = int(receipt["blockNumber"], 16)
        wait_for("L1 to decide", partial(nodes_agree, devnet, number))
        assert l2_hash(devnet, number, REPLICA) == receipt["blockHash"]
        # L1 may have told the replica before gossip did: then there was nothing to count.
        if equivocations(devnet) > before:
            return
    raise AssertionError("the replica never noticed two signed blocks of one number")


def equivocations(devnet: Devnet) -> float:
    """How often the replica has seen two signed blocks of one number."""
    return devnet.l2_metrics(REPLICA)["faultline_unsafe_equivocations_total"]


def l1_reorgs(devnet: Devnet) -> float:
    """How often L1 left the path from which the sequencer had derived."""
    return devnet.l2_metrics()["faultline_deriving_l1_reorgs_total"]


def sequencer_records(devnet: Devnet) -> float:
    """Records that the sequencer has derived from its L1."""
    samples = devnet.l2_metrics()
    return sum(
        value
        for name, value in samples.items()
        if name.startswith("faultline_deriving_records_total")
    )


def heads_of_sides(devnet: Devnet) -> list[int]:
    """L1's height on each side of a split of one against three."""
    return [devnet.number(validator=one) for one in (0, 1)]


def test_a_split_l1_under_load_heals_into_one_l2(devnet_to_break: Devnet) -> None:
    # Given the sequencer on the side of L1 that is going to lose: one validator of four
    devnet = devnet_to_break
    groups = [
        ["validator-0", "sequencer"],
        ["validator-1", "validator-2", "validator-3", "bridge", "watchtower"],
    ]
    reorganised = l1_reorgs(devnet)
    load = Load(devnet=devnet, sender=account(8))
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        for validator in range(4):
            devnet.rpc("devnet_break", "partition", {"groups": groups}, validator=validator)
        for replica in (None, REPLICA):
            devnet.l2_rpc("devnet_break", "partition", {"groups": groups}, replica=replica)
        sent, head, records = len(load.acknowledged), devnet.number(), sequencer_records(devnet)
        wait_for("transfers meanwhile", partial(_exceeds, load.acknowledged, sent + 20))
        wait_for("batches on the side that loses", lambda: sequencer_records(devnet) > records)
        wait_for("L1 blocks on both sides", lambda: min(heads_of_sides(devnet)) > head)
        for validator in range(4):
            devnet.rpc("devnet_heal", validator=validator)
        for replica in (None, REPLICA):
            devnet.l2_rpc("devnet_heal", replica=replica)
    finally:
        load.stop()
        thread.join()
    # Then the sequencer's L1 is reorganised under it
    wait_for("L1 to reorganise under the sequencer", lambda: l1_reorgs(devnet) > reorganised)
    # And every transaction that was acknowledged is on the chain that both nodes derive
    devnet.wait_for_final(devnet.number() + 1)
    last = 0
    for transaction_hash in load.acknowledged:
        receipt = wait_for(
            f"{transaction_hash} to be included again",
            partial(devnet.l2_rpc, "eth_getTransactionReceipt", transaction_hash),
        )
        assert isinstance(receipt, dict)
        last = max(last, int(receipt["blockNumber"], 16))
    wait_for("L1 to hold them", lambda: nodes_agree(devnet, last))


def test_a_replica_from_nothing_derives_the_chain_from_l1(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    known = devnet.l2_number("safe", REPLICA)
    hashes = [l2_hash(devnet, number) for number in range(known + 1)]
    devnet.faultline("processes", "stop", "bridge")
    shutil.rmtree(devnet.data / "bridge" / "l2")
    shutil.rmtree(devnet.data / "bridge" / "l1")
    devnet.faultline("processes", "start", "bridge")
    wait_for("the replica to answer", lambda: answers(devnet, REPLICA))
    wait_for("the replica to have caught up", lambda: devnet.l2_number("safe", REPLICA) >= known)
    assert [l2_hash(devnet, number, REPLICA) for number in range(known + 1)] == hashes


def test_a_stopped_devnet_continues_both_chains(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    final = devnet.l2_number("finalized")
    before = l2_hash(devnet, final)
    devnet.down()
    devnet.up()
    assert l2_hash(devnet, final) == before == l2_hash(devnet, final, REPLICA)
    sender = account(9)
    raw = transfer(sender, nonce_of(devnet, sender), "0x" + "ab" * 20)
    receipt = devnet.l2_rpc("eth_sendRawTransactionSync", raw)
    assert isinstance(receipt, dict)
    wait_for("finality", lambda: devnet.l2_number("finalized") >= int(receipt["blockNumber"], 16))
