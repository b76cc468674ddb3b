"""A stake's way through real contracts, the real engine and the real rules: in, at work, out, and paid back.

deposit contract (EIP-6110) -> candidate -> tryout -> weight -> exit contract (EIP-7002) -> withdrawable -> swept (EIP-4895)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio
from prometheus_client import CollectorRegistry

from deploy.genesis import DEPOSIT_CONTRACT
from deploy.published import published_contracts
from node.chain.chain import Chain, open_chain
from node.chain.metrics import ChainMetrics
from node.consensus import randao
from node.consensus.containers import ProposalEvidence
from node.consensus.parameters import STAKE_GWEI, Parameters
from node.consensus.signing import deposit_message
from node.consensus.state import FAR_FUTURE_EPOCH, ConsensusState
from node.consensus.state_transition import open_envelope
from node.consensus.wire import decode_envelope
from node.eth.primitives import Address, Slot
from node.execution.adapter import RevmEngine, verify_signatures
from node.runtime.worker import InlineWorker
from node.storage.chain_database import ChainDatabase
from tests.kit.chain_builder import BuiltBlock, ChainBuilder, ValidatorKey, make_genesis, make_keys
from tests.kit.chain_harness import clock_at
from tests.kit.execution_chain import DEPOSITOR, ETHER, address_of, genesis_document, sign
from tests.kit.memory_tables import MemoryTables

PARAMETERS: Final = Parameters(tryout_epochs=2, unbond_epochs=4, churn_divisor=4)
"""Everything as on a devnet, only sooner."""

CREDENTIALS: Final = b"\x01" + bytes(11) + address_of(DEPOSITOR)
DEPOSITS: Final = Address(bytes.fromhex(DEPOSIT_CONTRACT[2:]))
EXITS: Final = next(
    Address(bytes.fromhex(one.address.removeprefix("0x")))
    for one in published_contracts()
    if "withdrawal" in one.name.lower()
)


@dataclass(slots=True, kw_only=True)
class Network:
    """Somebody who makes the blocks, and a node that imports them."""

    builder: ChainBuilder
    engine: RevmEngine
    chain: Chain
    tip: BuiltBlock

    @property
    def state(self) -> ConsensusState:
        """What the node holds after its head."""
        state = self.chain.consensus_state(self.chain.head.hash)
        assert state is not None
        return state

    def balance_wei(self, address: Address) -> int:
        """Of an account, in the node's own state."""
        account = self.engine.account(self.chain.head.header.state_root, address)
        return 0 if account is None else account.balance

    async def grow(self, *transactions: bytes) -> None:
        """One block with everybody's votes, built by one engine and executed by another."""
        voters = range(len(self.state.validators))
        weighted = self.builder.weights(self.tip.hash)
        parent = self.tip
        votes = [
            self.builder.vote(index, parent.slot, parent.hash, head_only=not weighted >> index & 1)
            for index in voters
        ]
        await self.take(
            self.builder.build(
                parent.hash,
                parent.slot + 1,
                votes=votes if parent.number else (),
                transactions=transactions,
            )
        )

    async def take(self, block: BuiltBlock) -> None:
        """Give a block to the node, whose head it becomes."""
        await self.chain.import_envelope(block.envelope, origin="peer")
        assert self.chain.head.hash == block.hash
        assert self.state == block.state
        self.tip = block

    async def grow_until(self, what: str, *, within: int = 80) -> None:
        """Grow until a condition on the last registry entry holds."""
        for _ in range(within):
            if CONDITIONS[what](self.state):
                return
            await self.grow()
        raise AssertionError(f"{what} did not come within {within} blocks")


def _weight(state: ConsensusState, index: int) -> bool:
    started = [one for one in state.sets if one.start_epoch <= state.slot // 2]
    return bool(started[-1].weights >> index & 1)


CONDITIONS: Final[dict[str, Callable[[ConsensusState], bool]]] = {
    "candidate": lambda state: len(state.validators) == 5,
    "tried": lambda state: state.validators[4].present_epochs >= PARAMETERS.tryout_epochs,
    "weight": lambda state: _weight(state, 4),
    "leaving": lambda state: state.validators[4].exit_epoch != FAR_FUTURE_EPOCH,
    "gone": lambda state: not _weight(state, 4),
    "paid": lambda state: state.validators[4].balance_gwei == 0,
    "removed": lambda state: not _weight(state, 0),
    "swept": lambda state: state.validators[0].balance_gwei == 0,
}


async def open_network(nursery: trio.Nursery) -> Network:
    """Four validators, a depositor with money, and the published contracts."""
    keys = make_keys(4)
    genesis = make_genesis(keys, PARAMETERS)
    document = json.dumps(
        genesis_document()
        | {
            "timestamp": hex(genesis.time),
            "gasLimit": hex(120_000_000),
            "extraData": "0x" + genesis.extra_data.hex(),
        }
    ).encode()
    builder = ChainBuilder(genesis, keys, RevmEngine(document))
    builder.keys.append(make_keys(5)[4])
    engine = RevmEngine(document)
    chain = await open_chain(
        genesis=genesis,
        engine=engine,
        database=ChainDatabase(MemoryTables(), folder="folder"),
        verify=verify_signatures,
        worker=InlineWorker(),
        clock=clock_at(genesis, 1_000),
        metrics=ChainMetrics(CollectorRegistry()),
    )
    await nursery.start(chain.run)
    return Network(
        builder=builder, engine=engine, chain=chain, tip=builder.blocks[builder.genesis_hash]
    )


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def deposit_of(network: Network, key: ValidatorKey, *, nonce: int) -> bytes:
    """A transaction to the deposit contract: 32 ETH for a new validator, as `faultline` makes it."""
    commitment = randao.onion_tip(key.onion_seed, 0, PARAMETERS.onion_layers)
    message = deposit_message(
        network.builder.rules.domains.deposit, key.public, CREDENTIALS, commitment
    )
    public_key = key.public + bytes(16)
    signature = key.private.sign(message) + commitment
    signature_root = sha256(sha256(signature[:64]), sha256(signature[64:], bytes(32)))
    amount = STAKE_GWEI.to_bytes(8, "little") + bytes(24)
    root = sha256(
        sha256(sha256(public_key, bytes(16)), CREDENTIALS), sha256(amount, signature_root)
    )
    tails = [public_key + bytes(16), CREDENTIALS, signature]
    offsets = [4 * 32, 4 * 32 + 32 + 64, 4 * 32 + 32 + 64 + 32 + 32]
    head = b"".join(offset.to_bytes(32) for offset in offsets) + root
    body = b"".join(
        length.to_bytes(32) + tail for length, tail in zip((48, 32, 96), tails, strict=True)
    )
    data = bytes.fromhex("22895118") + head + body
    return sign(DEPOSITOR, nonce=nonce, to=DEPOSITS, value=32 * ETHER, data=data, gas=300_000)


def exit_of(key: ValidatorKey, *, nonce: int) -> bytes:
    """A transaction to the exit contract: all of a validator's stake."""
    data = key.public + bytes(16) + bytes(8)
    return sign(DEPOSITOR, nonce=nonce, to=EXITS, value=1, data=data, gas=300_000)


async def test_a_stake_goes_in_works_leaves_and_is_paid_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given 32 ETH in the deposit contract, then a validator votes and proposes; after its exit the 32 ETH come back."""
    async with trio.open_nursery() as nursery:
        network = await open_network(nursery)
        newcomer = network.builder.keys[4]
        for _ in range(6):
            await network.grow()

        await network.grow(deposit_of(network, newcomer, nonce=0))
        assert [one.public_key for one in network.state.deposits] == [newcomer.public]
        await network.grow_until("candidate")
        assert network.state.validators[4].public_key == newcomer.public
        assert not _weight(network.state, 4)
        await network.grow_until("tried")
        assert not _weight(network.state, 4)
        await network.grow_until("weight")
        finalized = network.chain.finalized_checkpoint.epoch
        for _ in range(40):
            await network.grow()
        assert network.state.validators[4].reveals > 0, "it has proposed"
        assert network.chain.finalized_checkpoint.epoch > finalized + 15

        before_wei = network.balance_wei(address_of(DEPOSITOR))
        await network.grow(exit_of(newcomer, nonce=1))
        assert [one.validator_index for one in network.state.exits] == [4]
        await network.grow_until("leaving")
        validator = network.state.validators[4]
        assert validator.withdrawable_epoch == validator.exit_epoch + PARAMETERS.unbond_epochs
        await network.grow_until("gone")
        assert network.state.validators[4].balance_gwei == STAKE_GWEI
        await network.grow_until("paid")

        assert network.state.next_withdrawal_index == 1
        gained_wei = network.balance_wei(address_of(DEPOSITOR)) - before_wei
        assert 32 * ETHER - ETHER // 100 < gained_wei < 32 * ETHER, "the stake less a fee"
        nursery.cancel_scope.cancel()


async def test_who_proposed_twice_loses_half_and_gets_the_rest(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given two blocks of one slot, then the next proposer's evidence slashes, removes and in the end pays out half."""
    async with trio.open_nursery() as nursery:
        network = await open_network(nursery)
        builder = network.builder
        while network.tip.slot < 8 or _next_proposer(network) != 0:
            await network.grow()
        parent = network.tip
        twins = [
            builder.build(parent.hash, parent.slot + 1, fee_recipient=Address(bytes([mark]) * 20))
            for mark in (1, 2)
        ]
        for twin in twins:
            await network.chain.import_envelope(twin.envelope, origin="peer")
        network.tip = next(one for one in twins if one.hash == network.chain.head.hash)
        inputs = network.chain.prepare(Slot(network.tip.slot + 1))
        assert inputs is not None
        (piece,) = inputs.evidence
        assert isinstance(piece, ProposalEvidence)
        claims = {open_envelope(decode_envelope(one.envelope)).block_hash for one in twins}
        assert {piece.first.block_hash, piece.second.block_hash} == claims

        votes = [builder.vote(index, network.tip.slot, network.tip.hash) for index in range(1, 4)]
        await network.take(
            builder.build(
                network.tip.hash, network.tip.slot + 1, votes=votes, evidence=inputs.evidence
            )
        )
        assert network.state.validators[0].slashed
        assert network.state.validators[0].balance_gwei == STAKE_GWEI // 2
        after = network.chain.prepare(Slot(network.tip.slot + 1))
        assert after is not None
        assert after.evidence == (), "it is on the chain"
        await network.grow_until("removed")
        await network.grow_until("swept")

        assert network.balance_wei(Address(b"\x01" * 20)) == 16 * ETHER
        nursery.cancel_scope.cancel()


def _next_proposer(network: Network) -> int:
    slot = Slot(network.tip.slot + 1)
    return randao.proposer_index(network.builder.rules, network.tip.state, slot)
