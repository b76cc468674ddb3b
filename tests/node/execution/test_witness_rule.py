"""The witness rule on real blocks: it bounds what is read, and everybody stops at the same byte."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from node.errors import InvalidBlock
from node.eth.hashing import keccak256
from node.execution.engine import BlockResult, DerivedBlock
from node.rollup.budget import BEACON_ROOTS, BLOCK_HASHES, always_touched, witness_bytes
from tests.kit.execution_chain import word
from tests.kit.rollup_chain import RollupChain, deposit
from tests.kit.witness_world import (
    BOXES,
    CODE_BYTES,
    DESTROYER,
    SPRAYS,
    WitnessWorld,
    bystander,
    child_of,
    signer,
    stores,
    witness_document,
    witness_world,
)

ACCOUNTS = 3_000
CHILDREN = 200
ROOMY = 1 << 24
TIGHT = 60_000
ATTRIBUTES_DEPOSITOR = bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001")


def document(limit: int, *, large_codes: int = 8) -> bytes:
    """The file of this module's rollups; only their limits differ."""
    return witness_document(
        ACCOUNTS,
        slots=600,
        large_codes=large_codes,
        children=CHILDREN,
        witness_limit=limit,
    )


def random_block(world: WitnessWorld, dice: random.Random, salts: list[int]) -> list[bytes]:
    """Transactions that set and clear slots, remove accounts, and send; all of them can be executed."""
    raws = []
    for _ in range(dice.randrange(1, 10)):
        pairs = [
            (dice.randrange(1, 40), dice.choice([0, 0, 1, dice.randrange(1 << 200)]))
            for _ in range(dice.randrange(1, 16))
        ]
        raws.append(world.sign(dice.randrange(40), dice.choice(BOXES), stores(pairs), gas=500_000))
    raws += [
        world.sign(dice.randrange(40), DESTROYER, word(salts.pop()), gas=200_000)
        for _ in range(dice.randrange(4))
    ]
    for _ in range(dice.randrange(5)):
        to = bystander(dice.randrange(2 * ACCOUNTS))
        raws.append(world.sign(dice.randrange(40), to, value=1, gas=21_000))
    return raws


def mixed_block(world: WitnessWorld, dice: random.Random) -> list[bytes]:
    """Transactions of which some can never be executed and some read more than a block may."""
    raws, nonces = [], dict(world.nonces)
    for _ in range(24):
        by, kind = dice.randrange(40, 80), dice.random()
        nonce = nonces.get(by, 0)
        to = bystander(dice.randrange(ACCOUNTS))
        if kind < 0.15:
            raws.append(world.sign_at(99, by, to, gas=21_000))
        elif kind < 0.3:
            raws.append(world.sign_at(nonce, by, to, value=10**30, gas=21_000))
        elif kind < 0.45:
            many = word(dice.choice([1, 11, 21])) + word(dice.choice([5, 900]))
            raws.append(world.sign_at(nonce, by, SPRAYS["balance"], many, gas=2_700_000))
        elif kind < 0.55:
            large = word(dice.randrange(8)) + word(1)
            raws.append(world.sign_at(nonce, by, SPRAYS["code"], large, gas=90_000))
        else:
            pairs = [(dice.randrange(1, 40), dice.choice([0, 7])) for _ in range(3)]
            raws.append(world.sign_at(nonce, by, dice.choice(BOXES), stores(pairs), gas=150_000))
            nonces[by] = nonce + 1
    return raws


def recorded(result: BlockResult) -> int:
    """Bytes of what a block has read."""
    assert result.witness is not None
    return sum(map(len, result.witness[0])) + sum(map(len, result.witness[1]))


def from_witness(
    chain: RollupChain, derived: DerivedBlock, raws: Sequence[bytes], deposits: Sequence[bytes] = ()
) -> DerivedBlock:
    """The same block from its witness alone."""
    assert derived.result.witness is not None
    nodes, codes, _ = derived.result.witness
    return chain.engine.derive_stateless(
        chain.header, chain.attributes(), deposits, raws, nodes, codes
    )


def same(one: DerivedBlock, other: DerivedBlock) -> bool:
    """Whether two runs gave the same block and counted the same witness."""
    return (
        one.is_full == other.is_full
        and one.result.block == other.result.block
        and one.result.witness_size == other.result.witness_size
    )


def succeeded(chain: RollupChain, result: BlockResult) -> list[bool]:
    """Of each transaction of a block."""
    return [_status(receipt) for receipt in chain.engine.raw_receipts(result.receipts)]


def _status(receipt: bytes) -> bool:
    body = receipt if receipt[0] >= 0xC0 else receipt[1:]
    head = 1 if body[0] < 0xF8 else body[0] - 0xF6
    return body[head] == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_the_rule_bounds_what_is_read(seed: int) -> None:
    """Given random blocks with clears and removals, when their reads are recorded, then the rule counts at least as much."""
    # Given
    world = witness_world(document(ROOMY))
    chain, dice, salts = world.chain, random.Random(seed), list(range(CHILDREN))
    clears = siblings_read = 0
    for _ in range(40):
        raws = random_block(world, dice, salts)
        # When
        derived = chain.derive(raws, record_witness=True)
        # Then
        nodes, codes, room = derived.result.witness_size
        assert derived.is_full
        assert nodes + codes <= recorded(derived.result) <= nodes + codes + room
        assert same(derived, from_witness(chain, derived, raws))
        clears += room
        siblings_read += recorded(derived.result) - nodes - codes
        chain.commit(derived.result)
    destroyed = set(range(CHILDREN)) - set(salts)
    assert all(chain.balance(child_of(salt)) == 0 for salt in destroyed)
    assert destroyed
    assert clears > 0
    assert siblings_read > 0


@pytest.mark.parametrize("seed", [3, 4])
def test_whoever_builds_derives_or_proves_stops_at_the_same_byte(seed: int) -> None:
    """Given offers that cross limits, when built, then derivation, a follower and a witness agree on all of the block."""
    # Given
    roomy, tight = witness_world(document(ROOMY)), witness_world(document(TIGHT)).chain
    chain, dice, salts = roomy.chain, random.Random(seed), list(range(CHILDREN))
    crossed = 0
    for _ in range(20):
        offered = mixed_block(roomy, dice)
        # When
        builder = tight.engine.sequence(tight.header, tight.attributes(), [], b"")
        outcomes = [builder.push([raw])[0] for raw in offered]
        left = builder.witness_left
        built = builder.seal()
        # Then
        included = [raw for raw, one in zip(offered, outcomes, strict=True) if one.included]
        assert sum(built.witness_size) == TIGHT - left
        derived = tight.derive(included, record_witness=True)
        assert same(derived, DerivedBlock(built, is_full=True))
        assert same(derived, from_witness(tight, derived, included))
        followed = tight.engine.execute(tight.header, built.block, b"", record_witness=True)
        assert followed.witness_size == built.witness_size
        assert followed.witness == derived.result.witness
        # All of them at once: not in full, and the proof of that is within the limit.
        refused = tight.derive(offered, record_witness=True)
        assert not refused.is_full
        assert recorded(refused.result) <= TIGHT
        assert same(refused, from_witness(tight, refused, offered))
        crossed += sum(one.reason in ("witness_limit", "never_fits") for one in outcomes)
        # Both chains go on with the same block, from a state that changes.
        grown = chain.seal(random_block(roomy, dice, salts))
        chain.commit(grown)
        tight.commit(grown)
    assert crossed > 20


def test_proofs_weigh_the_same() -> None:
    """Given a block that only reads, when all it touches is proven one by one, then the proofs weigh what the meter counts."""
    # Given
    world = witness_world(document(ROOMY))
    for _ in range(3):
        world.chain.grow([world.sign(1, BOXES[0], stores([(3, 4)]), gas=80_000)])
    chain, state = world.chain, world.chain.head.state_root
    attributes = chain.attributes()
    raws = [
        world.sign(9, SPRAYS["balance"], word(20) + word(30), gas=200_000),
        world.sign(10, SPRAYS["sload"], word(590) + word(20), gas=200_000),
    ]
    # When
    touched = dict(always_touched(len(chain.blocks), attributes.timestamp, []))
    keys = frozenset(int.from_bytes(keccak256(n.to_bytes(8))) for n in range(590, 610))
    readers = {SPRAYS["balance"]: frozenset[int](), SPRAYS["sload"]: keys}
    signers = {signer(9).address: frozenset[int](), signer(10).address: frozenset[int]()}
    strangers = dict.fromkeys((bystander(n) for n in range(20, 50)), frozenset[int]())
    nodes: list[bytes] = []
    everything = (*touched.items(), *readers.items(), *signers.items(), *strangers.items())
    for address, slots in everything:
        proof = chain.engine.proof(state, address, [word(slot) for slot in slots])
        nodes += proof.nodes + [node for _, of_slot in proof.slots for node in of_slot]
    ran = (*readers, BLOCK_HASHES, BEACON_ROOTS)
    codes = [chain.engine.code(state, address) for address in ran]
    # Then: a proof also lists nodes that stand in others, which a witness does not name; here there are none.
    derived = chain.derive(raws)
    assert all(succeeded(chain, derived.result))
    assert witness_bytes(nodes, codes, 0) == sum(derived.result.witness_size)


def test_order_does_not_matter() -> None:
    """Given transactions that do not depend on each other, when shuffled, then the block's witness has one size."""
    world = witness_world(document(ROOMY))
    raws = [world.sign(by, bystander(31 * by), value=1, gas=21_000) for by in range(60)]
    raws += [world.sign(60 + n, BOXES[n % 6], stores([(n, n)]), gas=80_000) for n in range(30)]
    raws += [world.spray(90 + n, "code_hash", n, 2, gas=60_000) for n in range(6)]
    sizes = set()
    for seed in range(8):
        random.Random(seed).shuffle(raws)
        sizes.add(world.chain.derive(raws).result.witness_size)
    assert len(sizes) == 1


def test_a_store_on_disk_counts_the_same(tmp_path: Path) -> None:
    """Given the same blocks in memory and on disk, when counted, then there is no difference."""
    memory, disk = witness_world(document(ROOMY)), witness_world(document(ROOMY), folder=tmp_path)
    dice, salts = random.Random(5), list(range(CHILDREN))
    for _ in range(6):
        raws = random_block(memory, dice, salts)
        one, other = memory.chain.derive(raws), disk.chain.derive(raws)
        assert same(one, other)
        memory.chain.commit(one.result)
        disk.chain.commit(other.result)
    disk.chain.engine.close()


def test_a_transaction_that_reads_too_much_is_left_for_later_or_never_fits() -> None:
    """Given sprays, when pushed, then what it leaves out is told apart by whether an empty block could hold it."""
    world = witness_world(document(TIGHT))
    chain = world.chain
    builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
    whole = world.sign_at(0, 1, SPRAYS["balance"], word(0) + word(900), gas=3_000_000)
    half = [
        world.sign_at(0, 2 + n, SPRAYS["balance"], word(100 * n) + word(60), gas=300_000)
        for n in range(4)
    ]
    before = builder.witness_left
    outcomes = builder.push([whole, *half])
    assert [one.reason for one in outcomes][:2] == ["never_fits", ""]
    assert outcomes[-1].reason == "witness_limit"
    included = [raw for raw, one in zip(half, outcomes[1:], strict=True) if one.included]
    assert before - builder.witness_left == sum(builder.seal().witness_size) - (TIGHT - before)
    # What was left out fits into a block of its own.
    assert chain.derive([half[-1]]).is_full
    assert chain.derive(included).is_full
    assert not chain.derive([*included, half[-1]]).is_full
    assert not chain.derive([whole]).is_full


def test_a_follower_refuses_a_block_that_crosses() -> None:
    """Given a sealed block above the limit, when judged, then it is invalid."""
    roomy, tight = witness_world(document(ROOMY)), witness_world(document(TIGHT))
    block = roomy.chain.seal([roomy.spray(1, "balance", 0, 400, gas=2_000_000)])
    with pytest.raises(InvalidBlock, match="witness"):
        tight.chain.engine.execute(tight.chain.header, block.block, b"")


def test_a_refused_transaction_leaves_nothing_warm() -> None:
    """Given transactions that are refused after they have read, when others follow, then they count as if alone."""
    world = witness_world(document(TIGHT))
    chain = world.chain
    poor = world.sign_at(0, 7, bystander(1), value=10**30, gas=21_000)
    greedy = world.sign_at(0, 9, SPRAYS["balance"], word(0) + word(900), gas=3_000_000)
    to_poor = world.sign_at(0, 8, signer(7).address, value=1, gas=21_000)
    reader = world.sign_at(0, 10, SPRAYS["balance"], word(0) + word(4), gas=100_000)
    builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
    outcomes = builder.push([poor, greedy, to_poor, reader])
    assert [one.included for one in outcomes] == [False, False, True, True]
    assert same(chain.derive([to_poor, reader]), DerivedBlock(builder.seal(), is_full=True))


def test_a_hash_of_an_ancestor_is_proven_by_its_slot() -> None:
    """Given blocks, when older hashes are asked for, then the slots that prove them count and the parent's costs nothing."""
    world = witness_world(document(ROOMY))
    for _ in range(20):
        world.chain.grow()
    chain = world.chain

    def size(first: int, count: int) -> int:
        data = word(first) + word(count)
        raw = world.sign_at(0, 1, SPRAYS["block_hash"], data, gas=100_000)
        derived = chain.derive([raw], record_witness=True)
        assert same(derived, from_witness(chain, derived, [raw]))
        return sum(derived.result.witness_size)

    assert size(1, 1) == size(1, 0)
    assert size(1, 10) > size(1, 1)


class TestDeposits:
    """What a deposit may add, and that no other can take it away."""

    LIMIT = 200_000

    @pytest.fixture
    def world(self) -> WitnessWorld:
        return witness_world(document(self.LIMIT))

    def sprays(self, name: str, *, count: int, gas: int, each: int) -> list[bytes]:
        """Deposits that read as much as they can."""
        return [
            deposit(
                source=word(900 + n),
                sender=bystander(900 + n),
                to=SPRAYS[name],
                gas=gas,
                data=word(1 + n * each) + word(each),
            )
            for n in range(count)
        ]

    def test_one_that_crosses_keeps_its_mint_and_moves_its_nonce(self, world: WitnessWorld) -> None:
        """Given a deposit that reads more than its share, when executed, then it fails and its touches stay counted."""
        chain, sender = world.chain, bystander(5)
        greedy = deposit(
            sender=sender, to=SPRAYS["balance"], mint=10**6, gas=900_000, data=word(0) + word(300)
        )
        before = chain.balance(sender)
        modest = chain.derive(deposits=[deposit(sender=sender, to=bystander(1))]).result
        block = chain.grow(deposits=[greedy])
        assert succeeded(chain, block) == [False]
        assert block.gas_used == 900_000
        assert (chain.balance(sender), chain.nonce(sender)) == (before + 10**6, 1)
        assert sum(block.witness_size) > sum(modest.witness_size) + 30_000

    @pytest.mark.parametrize("name", ["balance", "sload", "code", "code_hash", "clear"])
    def test_greedy_ones_starve_nobody(self, world: WitnessWorld, name: str) -> None:
        """Given eight deposits that read all they can, when eight modest ones follow, then those succeed."""
        chain = world.chain
        attackers = self.sprays(name, count=8, gas=187_000, each=50 if name != "code" else 1)
        victims = [
            deposit(
                source=word(50 + n),
                sender=bystander(2_000 + n),
                to=BOXES[n % 6],
                mint=10**18,
                gas=180_000,
                data=stores([(n, 5)]),
            )
            for n in range(8)
        ]
        derived = chain.derive(deposits=[*attackers, *victims], record_witness=True)
        assert all(succeeded(chain, derived.result)[8:])
        assert recorded(derived.result) <= sum(derived.result.witness_size) <= self.LIMIT
        assert same(derived, from_witness(chain, derived, [], [*attackers, *victims]))

    def test_unknown_codes_cannot_be_piled_up(self) -> None:
        """Given sixteen cheap deposits for a large new code each, when executed, then one of them is read at most."""
        # Given: codes that are not in the genesis file, so that nobody knows their lengths.
        world = witness_world(document(self.LIMIT, large_codes=0))
        chain = world.chain
        created = []
        for n in range(4):
            code = b"\0" + bytes([n]) + b"\x5b" * (CODE_BYTES - 2)
            init = b"\x61" + len(code).to_bytes(2) + bytes.fromhex("80600a3d393df3") + code
            creation = deposit(
                source=word(n), sender=bystander(n), to=b"", gas=6_000_000, data=init
            )
            created.append(chain.grow(deposits=[creation]))
        receipts = [chain.engine.receipt_json(one.block, one.receipts, 0) for one in created]
        targets = [bytes.fromhex(orjson.loads(one)["contractAddress"][2:]) for one in receipts]
        callers = [
            deposit(source=word(70 + n), sender=bystander(300 + n), to=targets[n % 4], gas=60_000)
            for n in range(16)
        ]
        # When
        derived = chain.derive(deposits=callers, record_witness=True)
        # Then
        assert derived.result.witness_size[1] <= CODE_BYTES + 3_000
        assert recorded(derived.result) <= self.LIMIT
        assert same(derived, from_witness(chain, derived, [], callers))
        # One with gas for the longest code calls any.
        rich = deposit(source=word(99), sender=bystander(400), to=targets[3], gas=700_000)
        assert succeeded(chain, chain.derive(deposits=[*callers, rich]).result)[-1]

    def test_the_attributes_deposit_has_no_allowance_of_its_own(self, world: WitnessWorld) -> None:
        """Given the attributes deposit, when it has little gas, then its share is the block's."""
        attributes = deposit(
            sender=ATTRIBUTES_DEPOSITOR, to=SPRAYS["balance"], gas=200_000, data=word(0) + word(60)
        )
        assert succeeded(world.chain, world.chain.derive(deposits=[attributes]).result) == [True]
