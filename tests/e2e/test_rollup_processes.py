"""A devnet with an L2 of real processes: deposits, a sequencer that stops, dies or posts nonsense, a replica that starts anew."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from eth_account import Account as EthAccount

from deploy.derivation import mnemonic_accounts
from tests.e2e.devnet import Devnet, RpcFailure, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("rollup"), pytest.mark.timeout(1_500)]

WINDOW_BLOCKS = 8
"""L1 blocks until anybody may force: short, because tests wait for it."""

GWEI = 10**9
SENDERS = mnemonic_accounts(10)


@pytest.fixture(scope="module")
def rollup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    folder = tmp_path_factory.mktemp("rollup")
    manifest = folder / "faultline.toml"
    manifest.write_text(f"[l2]\nsequencing_window_blocks = {WINDOW_BLOCKS}\n")
    with running_devnet(folder, "--manifest", str(manifest), with_l2=True) as devnet:
        yield devnet


def balance(devnet: Devnet, address: str, replica: int | None = None) -> int:
    return int(str(devnet.l2_rpc("eth_getBalance", address, "latest", replica=replica)), 16)


def transfer(devnet: Devnet, sender: int, nonce: int, to: str) -> str:
    """A raw transfer of one gwei on the L2."""
    signed = EthAccount.sign_transaction(
        {
            "chainId": 901,
            "type": 2,
            "nonce": nonce,
            "to": to,
            "value": GWEI,
            "gas": 21_000,
            "maxFeePerGas": GWEI,
            "maxPriorityFeePerGas": 1,
        },
        SENDERS[sender].private_key,
    )
    return "0x" + bytes(signed.raw_transaction).hex()


def next_nonce(devnet: Devnet, sender: int, replica: int | None = None) -> int:
    address = SENDERS[sender].address
    found = devnet.l2_rpc("eth_getTransactionCount", address, "pending", replica=replica)
    return int(str(found), 16)


def deposited(devnet: Devnet, *arguments: str) -> dict[str, object]:
    done = devnet.faultline("deposit", *arguments, "--json", timeout_s=400)
    arrived: dict[str, object] = orjson.loads(done.stdout)
    return arrived


def answers(devnet: Devnet, replica: int | None = None) -> bool:
    try:
        return devnet.l2_rpc("eth_chainId", replica=replica) == "0x385"
    except OSError:
        return False


def same_chain(devnet: Devnet, tag: str = "safe") -> bool:
    """Whether sequencer and replica hold the same block at the lower of their tagged heads."""
    number = min(devnet.l2_number(tag), devnet.l2_number(tag, replica=0))
    blocks = [
        devnet.l2_rpc("eth_getBlockByNumber", hex(number), False, replica=replica)
        for replica in (None, 0)
    ]
    return blocks[0] == blocks[1]


def wait_until_safe(devnet: Devnet, number: int) -> None:
    wait_for(f"L2 block {number} to be safe", lambda: devnet.l2_number("safe") >= number)
    wait_for("the replica", lambda: devnet.l2_number("safe", replica=0) >= number)


def test_a_transaction_is_answered_with_its_receipt_and_becomes_final(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010001"
    raw = transfer(rollup, 1, next_nonce(rollup, 1), receiver)
    sent = rollup.l2_rpc("eth_sendRawTransaction", raw)
    receipt = rollup.l2_rpc("eth_getTransactionReceipt", sent)
    assert isinstance(receipt, dict)
    assert receipt["status"] == "0x1"
    number = int(receipt["blockNumber"], 16)
    wait_until_safe(rollup, number)
    wait_for("it to be final", lambda: rollup.l2_number("finalized", replica=0) >= number)
    assert rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0) == receipt
    assert balance(rollup, receiver, replica=0) == GWEI
    assert rollup.l2_rpc("rollup_batchOf", hex(number)) == rollup.l2_rpc(
        "rollup_batchOf", hex(number), replica=0
    )


def test_a_replica_forwards_transactions(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010002"
    raw = transfer(rollup, 2, next_nonce(rollup, 2), receiver)
    sent = rollup.l2_rpc("eth_sendRawTransaction", raw, replica=0)
    wait_for("its receipt", lambda: rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0))
    assert balance(rollup, receiver) == GWEI


def test_a_deposit_arrives(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010003"
    arrived = deposited(rollup, "1.5", "--to", receiver)
    assert arrived["succeeded"] is True
    assert balance(rollup, receiver) == 15 * 10**17
    wait_for("the replica", lambda: balance(rollup, receiver, replica=0) == 15 * 10**17)
    status = rollup.status()["processes"]
    assert isinstance(status, list)
    assert [process["layer"] for process in status] == ["l1"] * 4 + ["l2"] * 2
    assert all(process["batches"] > 0 for process in status[4:])


def test_a_killed_sequencer_loses_nothing_it_acknowledged(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010004"
    acknowledged: list[object] = []

    def send_until_it_dies() -> None:
        first = next_nonce(rollup, 3)
        for nonce in range(first, first + 100_000):
            try:
                raw = transfer(rollup, 3, nonce, receiver)
                acknowledged.append(rollup.l2_rpc("eth_sendRawTransaction", raw))
            except OSError:
                return

    # Given a sequencer that acknowledges transactions
    sending = threading.Thread(target=send_until_it_dies)
    sending.start()
    wait_for("some acknowledged transactions", lambda: len(acknowledged) > 200)
    # When it is killed in the middle of it, and started again
    rollup.faultline("processes", "kill", "sequencer")
    sending.join()
    rollup.faultline("processes", "start", "sequencer")
    wait_for("the sequencer to answer", lambda: answers(rollup))
    # Then every acknowledged transaction has its receipt, on the replica as well once it is safe
    receipts = [rollup.l2_rpc("eth_getTransactionReceipt", sent) for sent in acknowledged]
    assert all(isinstance(receipt, dict) for receipt in receipts)
    wait_until_safe(rollup, rollup.l2_number())
    assert same_chain(rollup)
    on_replica = [
        rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0) for sent in acknowledged
    ]
    assert all(isinstance(receipt, dict) for receipt in on_replica)
    assert balance(rollup, receiver, replica=0) >= len(acknowledged) * GWEI


def test_without_a_sequencer_a_deposit_is_forced(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010005"
    rollup.faultline("processes", "stop", "sequencer")
    arrived = deposited(rollup, "1", "--to", receiver)
    assert arrived["succeeded"] is True
    assert balance(rollup, receiver, replica=0) == 10**18
    # Started again, the sequencer takes over what was forced and seals on top of it
    rollup.faultline("processes", "start", "sequencer")
    wait_for("the sequencer to answer", lambda: answers(rollup))
    wait_for("what was forced", lambda: balance(rollup, receiver) == 10**18)
    number = rollup.l2_number()
    wait_until_safe(rollup, number + 1)
    assert same_chain(rollup)


@pytest.mark.parametrize("fault", ["garbage-batch", "bomb-batch", "truncated-batch"])
def test_what_is_no_batch_gives_one_chain(rollup: Devnet, fault: str) -> None:
    receiver = "0x0000000000000000000000000000000000010006"
    before = balance(rollup, receiver)
    rollup.faultline("break", fault)
    raw = transfer(rollup, 4, next_nonce(rollup, 4), receiver)
    sent = rollup.l2_rpc("eth_sendRawTransaction", raw)
    wait_for("the fault to be used up", lambda: rollup.l2_rpc("devnet_breaks") == [])
    wait_until_safe(rollup, rollup.l2_number() + 2)

    def is_safe_again() -> bool:
        receipt = rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0)
        if not isinstance(receipt, dict):
            return False
        return int(receipt["blockNumber"], 16) <= rollup.l2_number("safe", replica=0)

    wait_for("the transaction to be safe", is_safe_again)
    assert balance(rollup, receiver, replica=0) == before + GWEI
    wait_for("one chain", lambda: same_chain(rollup))


def test_who_is_censored_deposits(rollup: Devnet) -> None:
    censored = SENDERS[5].address
    receiver = "0x0000000000000000000000000000000000010007"
    rollup.faultline("break", "censor-sender", f"address={censored}")
    before = rollup.l2_rpc("eth_getTransactionCount", censored, "latest")
    try:
        rollup.l2_rpc("eth_sendRawTransaction", transfer(rollup, 5, int(str(before), 16), receiver))
    except RpcFailure as refusal:
        raise AssertionError("a censoring sequencer says nothing of it") from refusal
    arrived = deposited(rollup, "1", "--from", "5", "--to", receiver)
    assert arrived["succeeded"] is True
    assert balance(rollup, receiver) == 10**18
    rollup.faultline("break", "heal")
    wait_for("what waited", lambda: balance(rollup, receiver) == 10**18 + GWEI)


def test_a_replica_from_nothing_derives_the_same_chain(rollup: Devnet) -> None:
    wait_until_safe(rollup, rollup.l2_number())
    target = rollup.l2_number("safe")
    rollup.faultline("processes", "stop", "replica")
    shutil.rmtree(rollup.data / "replica")
    Path(rollup.data / "replica").mkdir()
    rollup.faultline("processes", "start", "replica")
    wait_for("the replica to answer", lambda: answers(rollup, replica=0))
    wait_for("it to catch up", lambda: rollup.l2_number("safe", replica=0) >= target)
    assert rollup.l2_rpc("eth_getBlockByNumber", hex(target), True) == rollup.l2_rpc(
        "eth_getBlockByNumber", hex(target), True, replica=0
    )


def test_a_stopped_network_continues_both_chains(rollup: Devnet) -> None:
    number = rollup.l2_number("safe")
    block = rollup.l2_rpc("eth_getBlockByNumber", hex(number), False)
    rollup.down()
    rollup.up()
    assert rollup.l2_rpc("eth_getBlockByNumber", hex(number), False) == block
    wait_until_safe(rollup, number + 4)
    assert same_chain(rollup)
