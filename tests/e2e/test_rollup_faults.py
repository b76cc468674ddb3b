"""What a user of the command line does with the L2: deposits, and faults of the sequencer that deposits get past.

A devnet of their own, because its sequencing window is short: these tests wait for its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import orjson
import pytest
from eth_account import Account as EthAccount

from deploy.derivation import mnemonic_accounts
from node.eth.hashing import keccak256
from tests.e2e.devnet import Devnet, RpcFailure, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

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


def transfer(sender: int, nonce: int, to: str) -> str:
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


def test_a_replica_forwards_transactions(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010002"
    raw = transfer(2, next_nonce(rollup, 2), receiver)
    sent = "0x" + keccak256(bytes.fromhex(raw[2:])).hex()

    def forwarded() -> object:
        # A sequencer that is slow to answer the replica is asked again, as a wallet would
        with suppress(RpcFailure):
            rollup.l2_rpc("eth_sendRawTransaction", raw, replica=0)
        return rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0)

    wait_for("its receipt", forwarded)
    assert balance(rollup, receiver) == GWEI


def test_a_deposit_arrives(rollup: Devnet) -> None:
    receiver = "0x0000000000000000000000000000000000010003"
    arrived = deposited(rollup, "1.5", "--to", receiver)
    assert arrived["succeeded"] is True
    assert balance(rollup, receiver) == 15 * 10**17
    wait_for("the replica", lambda: balance(rollup, receiver, replica=0) == 15 * 10**17)
    status = rollup.status()["processes"]
    assert isinstance(status, list)
    assert [process["layer"] for process in status] == ["l1"] * 4 + ["l2"] * 3
    assert all(process["batches"] > 0 for process in status[4:])


def test_who_is_censored_deposits(rollup: Devnet) -> None:
    censored = SENDERS[5].address
    receiver = "0x0000000000000000000000000000000000010007"
    # Given a sequencer that leaves an account out and says nothing of it
    rollup.faultline("break", "censor-sender", f"address={censored}")
    raw = transfer(5, next_nonce(rollup, 5), receiver)
    sent = rollup.l2_rpc("eth_sendRawTransaction", raw)
    # When the account deposits on L1
    arrived = deposited(rollup, "1", "--from", "5", "--to", receiver)
    # Then the deposit is on the L2, the transaction is not
    assert arrived["succeeded"] is True
    assert balance(rollup, receiver) == 10**18
    assert rollup.l2_rpc("eth_getTransactionReceipt", sent) is None
    # And once it is healed the account transacts as before
    rollup.faultline("break", "heal")
    rollup.l2_rpc("eth_sendRawTransaction", transfer(5, next_nonce(rollup, 5), receiver))
    wait_for("a later transaction", lambda: balance(rollup, receiver) == 10**18 + GWEI)


def test_a_deposit_arrives_without_the_sequencer(rollup: Devnet) -> None:
    # Given a devnet whose sequencer is gone
    lucky = "0x0000000000000000000000000000000000010008"
    sequencer = rollup.process("sequencer")
    rollup.faultline("processes", "stop", "sequencer")
    # When a user deposits
    deposited(rollup, "1.5", "--to", lucky)
    # Then the replica forces it through, and has it from L1 alone
    assert balance(rollup, lucky, replica=0) == 15 * 10**17
    forced = rollup.l2_number("safe", replica=0)
    # And a sequencer that comes back goes on from there
    rollup.faultline("processes", "start", "sequencer")
    sequencer.wait_until_ready()
    wait_for("the sequencer to derive it", lambda: rollup.l2_number("safe") >= forced)
    raw = transfer(9, next_nonce(rollup, 9), lucky)
    receipt = wait_for(
        "the sequencer to seal", lambda: rollup.l2_rpc("eth_sendRawTransactionSync", raw)
    )
    assert isinstance(receipt, dict)
    number = int(receipt["blockNumber"], 16)
    assert number > forced
    wait_until_safe(rollup, number)
    assert same_chain(rollup)


def test_a_sequencer_that_stops_is_passed_by_and_what_it_acknowledged_stays(
    rollup: Devnet,
) -> None:
    receiver, depositee = (f"0x000000000000000000000000000000000001000{end}" for end in (5, 6))
    # Given a transaction that was acknowledged and never posted, and a sequencer that then stops
    rollup.faultline("break", "batcher-stall")
    raw = transfer(7, next_nonce(rollup, 7), receiver)
    sent = rollup.l2_rpc("eth_sendRawTransaction", raw)
    assert isinstance(rollup.l2_rpc("eth_getTransactionReceipt", sent), dict)
    rollup.faultline("break", "sequencer-stop")
    with pytest.raises(RpcFailure, match="the sequencer is stopped"):
        rollup.l2_rpc("eth_sendRawTransaction", transfer(6, 0, receiver))
    # When a deposit is made, it is forced
    arrived = deposited(rollup, "1", "--to", depositee)
    assert arrived["succeeded"] is True
    wait_for("the replica", lambda: balance(rollup, depositee, replica=0) == 10**18)
    # Then the healed sequencer builds on what was forced, and includes its transaction again
    rollup.faultline("break", "heal")

    def is_safe() -> bool:
        receipt = rollup.l2_rpc("eth_getTransactionReceipt", sent, replica=0)
        if not isinstance(receipt, dict):
            return False
        return int(receipt["blockNumber"], 16) <= rollup.l2_number("safe", replica=0)

    wait_for("the transaction to be safe", is_safe)
    assert balance(rollup, receiver, replica=0) == GWEI
    wait_until_safe(rollup, rollup.l2_number())
    assert same_chain(rollup)
