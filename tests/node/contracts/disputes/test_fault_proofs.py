"""Proofs of faults: every false root falls to one transaction, a true one to none, whatever is given to STEP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.disputes import read_fault_proven, read_resolved
from node.eth.primitives import ZERO_HASH, Address, BlockNumber
from node.rollup.claims import top_of_branch
from node.rollup.step import StepInput
from tests.kit.contract_network import FORCER, WINDOW, Network, forwarder
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    ANCHORS,
    BOND,
    BURNT,
    CHALLENGER,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    IN_PROGRESS,
    LIAR,
    RIVAL,
    VAULT,
    DisputeWorld,
    Game,
    wrong_root,
)
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of
from tests.kit.rollup_chain import sign_l2
from tests.node.contracts.disputes.ends import mature, stand

TRANSACTION_GAS_MAX: Final = 1 << 24
"""Of a transaction on L1 (EIP-7825)."""

BLOCKS: Final = 12
"""L2 blocks of `settled`."""


def deposit(network: Network) -> None:
    """One user deposit."""
    network.world.transact(
        DEPOSITOR,
        network.portal,
        "depositTransaction",
        b"\x7a" * 20,
        5,
        100_000,
        False,
        b"",
        value=ETHER,
    )


def settled() -> DisputeWorld:
    """L2 blocks of all kinds: with transactions, with deposits, with what can't be executed, of a bad batch, forced."""
    world = DisputeWorld.open()
    deposit(world.network)
    world.pass_blocks(2)
    pays = [sign_l2(SENDER, nonce=nonce, value=nonce + 1) for nonce in range(4)]
    world.append([[pays[0], pays[1]], [], [pays[2]], [b"\x02rubbish"]], advances=3)
    world.append([[pays[3]], []], advances=2)
    world.append([[], []], advances=2)
    # Bytes that are no batch still make the blocks that the record says.
    receipt = world.network.append(b"\xff\xff", first_block=9, block_count=2, origin=8)
    world.derive(receipt)
    world.pass_blocks(WINDOW)
    world.force(10)
    assert len(world.roots) == BLOCKS + 1
    return world


@pytest.fixture
def world() -> DisputeWorld:
    """Every kind of block."""
    return settled()


# -- true and false roots


def test_every_root_of_a_true_claim_is_attacked_in_vain(world: DisputeWorld) -> None:
    """Given a true claim, when each of its roots is disputed with what proves it, then the game goes on as it was."""
    game = world.game(BLOCKS)
    faults = world.network.world.number(ANCHORS, "lastFaultBlock")
    for number in range(1, BLOCKS + 1):
        with pytest.raises(Reverted, match=r"^NoFault\(\)$"):
            world.prove(game, number)
    assert world.status(game) == IN_PROGRESS
    assert world.network.world.number(ANCHORS, "lastFaultBlock") == faults == 0
    assert world.network.world.read(VAULT, "locked", game.address) == BOND


@pytest.mark.parametrize("number", range(1, BLOCKS + 1))
def test_every_false_root_falls_at_once(number: int) -> None:
    """Given one false root anywhere, then one transaction ends the game, and says who, where and what is true."""
    world = settled()
    game = world.game(BLOCKS, wrong={number: wrong_root()}, sender=LIAR)

    receipt = world.prove(game, number)

    assert world.status(game) == CHALLENGER_WINS
    (proven, ended) = [log for log in receipt.logs if log.address == game.address]
    fault = read_fault_proven(proven.topics, proven.data)
    assert fault is not None
    assert (fault.prover, fault.block_number) == (address_of(CHALLENGER), number)
    assert (fault.claimed, fault.computed) == (wrong_root(), world.roots[number])
    assert read_resolved(ended.topics, ended.data) == CHALLENGER_WINS
    read = world.network.world.read
    assert read(game.contract, "resolvedBlock") == world.height
    assert read(ANCHORS, "lastFaultBlock") == world.height
    assert receipt.gas_used < TRANSACTION_GAS_MAX


@pytest.mark.parametrize("number", range(1, BLOCKS + 1))
def test_the_root_behind_a_false_one_proves_nothing(number: int) -> None:
    """Given one false root, then every other one is attacked in vain: a true one, and one whose start nobody has."""
    world = settled()
    game = world.game(BLOCKS, wrong={number: wrong_root()}, sender=LIAR)
    for other in range(1, BLOCKS + 1):
        if other == number:
            continue
        # The root before is not the true one where it is the false one: STEP knows no block with it.
        given = world.inputs[other]
        if other == number + 1:
            given = replace(given, pre_root=wrong_root())
        wanted = "StepFailed" if other == number + 1 else "NoFault"
        with pytest.raises(Reverted, match=wanted):
            world.prove(game, other, data=given.encode())
    assert world.status(game) == IN_PROGRESS


def test_a_claim_false_from_somewhere_on_falls_at_its_first_false_root(world: DisputeWorld) -> None:
    wrong = {number: wrong_root(number) for number in range(5, BLOCKS + 1)}
    game = world.game(BLOCKS, wrong=wrong, sender=LIAR)
    for number in (1, 4):
        with pytest.raises(Reverted, match=r"^NoFault\(\)$"):
            world.prove(game, number)
    for number in (6, BLOCKS):
        given = replace(world.inputs[number], pre_root=wrong_root(number - 1))
        with pytest.raises(Reverted, match="StepFailed"):
            world.prove(game, number, data=given.encode())
    world.prove(game, 5)
    assert world.status(game) == CHALLENGER_WINS


def test_a_first_root_is_proven_from_its_parent(world: DisputeWorld) -> None:
    """Given a child of a true game, then the root before its first one is the parent's claim."""
    parent = world.game(4)
    game = world.game(9, parent=parent, wrong={5: wrong_root()}, sender=LIAR)
    world.prove(game, 5)
    assert (world.status(parent), world.status(game)) == (IN_PROGRESS, CHALLENGER_WINS)


def test_roots_of_a_span_fall_in_every_chunk() -> None:
    """Given a claim of 1,208 blocks, then first, last, and both sides of the chunk's edge fall, and true ones do not."""
    world = DisputeWorld.open()
    for size in (500, 500, 208):
        world.append([[]] * size)
    true = world.game(1_208)
    for number in (1, 1_024, 1_025, 1_208):
        with pytest.raises(Reverted, match=r"^NoFault\(\)$"):
            world.prove(true, number)
        game = world.game(1_208, wrong={number: wrong_root(number)}, sender=LIAR)
        world.prove(game, number)
        assert world.status(game) == CHALLENGER_WINS


# -- the bond


def test_a_tenth_of_the_bond_goes_to_who_proved_and_the_rest_to_nobody(world: DisputeWorld) -> None:
    game = world.game(BLOCKS, wrong={3: wrong_root()}, sender=LIAR)
    world.prove(game, 3)
    read, balance = world.network.world.read, world.network.world.balance
    assert read(game.contract, "credit", address_of(CHALLENGER)) == BOND // 10
    assert read(game.contract, "credit", address_of(LIAR)) == 0
    assert balance(BURNT) == BOND - BOND // 10
    assert balance(addresses.BOND_VAULT) == BOND // 10
    assert read(VAULT, "locked", game.address) == 0


def test_two_challengers_at_once_win_once(world: DisputeWorld) -> None:
    """Given two proofs in one block, one of them copied, then the first counts, the second pays gas and nothing else."""
    game = world.game(BLOCKS, wrong={3: wrong_root()}, sender=LIAR)
    data = game.contract.input("proveFault", *world.prove_arguments(game, 3))
    kit = world.network.world
    raws = [kit.signed(one, game.address, data, gas=9_000_000) for one in (RIVAL, CHALLENGER)]
    first, second = kit.mine(raws)
    assert (first.succeeded, second.succeeded) == (True, False)
    assert second.gas_used < 1_000_000
    assert kit.read(game.contract, "credit", address_of(RIVAL)) == BOND // 10
    assert kit.read(game.contract, "credit", address_of(CHALLENGER)) == 0


def test_a_liar_that_proves_against_itself_loses_nine_tenths(world: DisputeWorld) -> None:
    game = world.game(BLOCKS, wrong={3: wrong_root()}, sender=LIAR)
    world.prove(game, 3, sender=LIAR)
    assert world.network.world.read(game.contract, "credit", address_of(LIAR)) == BOND // 10
    assert world.network.world.balance(BURNT) == BOND - BOND // 10


def test_a_contract_may_prove(world: DisputeWorld) -> None:
    """Given a proof through a contract, then the contract is who proved."""
    game = world.game(BLOCKS, wrong={3: wrong_root()}, sender=LIAR)
    code = forwarder(game.address)
    init = bytes.fromhex("60") + bytes([len(code)]) + bytes.fromhex("80600a5f395ff3")
    created = world.network.world.send(FORCER, None, init.ljust(10, b"\0") + code).contract
    assert created is not None
    data = game.contract.input("proveFault", *world.prove_arguments(game, 3))
    assert world.network.world.send(FORCER, created, data).succeeded
    assert world.network.world.read(game.contract, "credit", created) == BOND // 10


# -- moves after the end


def test_nothing_moves_in_a_decided_game(world: DisputeWorld) -> None:
    lost = world.game(BLOCKS, wrong={3: wrong_root()}, sender=LIAR)
    kept = world.game(BLOCKS)
    world.prove(lost, 3)
    stand(world, kept)
    for game, status in ((lost, CHALLENGER_WINS), (kept, DEFENDER_WINS)):
        assert world.status(game) == status
        with pytest.raises(Reverted, match=rf"^NotInProgress\({status},\)$"):
            world.prove(game, 3)
        with pytest.raises(Reverted, match=rf"^NotInProgress\({status},\)$"):
            world.resolve(game)
        assert world.status(game) == status


def test_a_proof_in_the_last_second_counts(world: DisputeWorld) -> None:
    """Given a game that may be resolved in this very block, when the proof stands before it there, then the game is lost."""
    game = world.game(BLOCKS, wrong={7: wrong_root()}, sender=LIAR)
    mature(world, game)
    kit = world.network.world
    proof = game.contract.input("proveFault", *world.prove_arguments(game, 7))
    end = game.contract.input("resolve", *world.proof())
    raws = [
        kit.signed(CHALLENGER, game.address, proof, gas=9_000_000),
        kit.signed(LIAR, game.address, end, gas=1_000_000),
    ]
    first, second = kit.mine(raws)
    assert (first.succeeded, second.succeeded) == (True, False)
    assert world.status(game) == CHALLENGER_WINS


# -- what is given to STEP


def refused(world: DisputeWorld, game: Game, number: int, data: bytes, wanted: str) -> None:
    """A proof that proves nothing."""
    with pytest.raises(Reverted) as reverted:
        world.prove(game, number, data=data)
    assert str(reverted.value) == wanted
    assert world.status(game) == IN_PROGRESS


def test_each_word_that_the_game_knows_is_compared(world: DisputeWorld) -> None:
    """Given one bit of any of the ten words changed, then the game says what is wrong, true root or false."""
    games = [world.game(BLOCKS), world.game(BLOCKS, wrong={6: wrong_root()}, sender=LIAR)]
    good = world.inputs[6].encode()
    # Another root before has no branch; the next block has another record, of another batch.
    others = {(1, 0): "WrongBranch(4,)", (1, 31): "WrongBranch(4,)", (2, 31): "WrongInput(4,)"}
    for game in games:
        for place in range(10):
            for byte in (0, 31):
                changed = bytearray(good)
                changed[32 * place + byte] ^= 1
                wanted = others.get((place, byte), f"WrongInput({place},)")
                refused(world, game, 6, bytes(changed), wanted)


def test_blocks_outside_the_claim_are_refused(world: DisputeWorld) -> None:
    """Given a block at the start, before it, behind the claim or beyond all numbers, then the second word is wrong."""
    parent = world.game(4)
    game = world.game(8, parent=parent)
    arguments = world.prove_arguments(game, 5)
    for number in (0, 3, 4, 9, 2**64, 2**256 - 1):
        given = replace(world.inputs[5], number=BlockNumber(number % 2**256))
        with pytest.raises(Reverted, match=r"^WrongInput\(2,\)$"):
            world.network.world.transact(
                CHALLENGER, game.contract, "proveFault", *arguments[:3], given.encode()
            )


def test_the_first_root_starts_where_the_claim_does(world: DisputeWorld) -> None:
    """Given another start, or a branch for it, then the first word is wrong."""
    game = world.game(BLOCKS)
    given = replace(world.inputs[1], pre_root=world.roots[1])
    refused(world, game, 1, given.encode(), "WrongInput(1,)")
    claimed, _, branch, data = world.prove_arguments(game, 1)
    with pytest.raises(Reverted, match=r"^WrongInput\(1,\)$"):
        world.network.world.transact(
            CHALLENGER, game.contract, "proveFault", claimed, branch, branch, data
        )


def test_a_root_that_the_game_does_not_claim_is_no_fault(world: DisputeWorld) -> None:
    """Given a true game and a false root in its place, then no branch of any length leads there."""
    game = world.game(BLOCKS)
    _, before, branch, data = world.prove_arguments(game, 6)
    true, prove = game.tree.roots[5], game.contract
    for claimed, first, second, wanted in (
        (wrong_root(), before, branch, "WrongBranch(5,)"),
        (game.tree.roots[6], before, branch, "WrongBranch(5,)"),
        (game.tree.roots[6], before, game.tree.branch(6), "WrongBranch(5,)"),
        (true, branch, branch, "WrongBranch(4,)"),
        (true, (), branch, "WrongBranch(4,)"),
        (true, before, (), "WrongBranch(5,)"),
        (true, before, branch[:-1], "WrongBranch(5,)"),
        (true, before, (*branch, ZERO_HASH), "WrongBranch(5,)"),
    ):
        with pytest.raises(Reverted) as reverted:
            world.network.world.transact(
                CHALLENGER, prove, "proveFault", claimed, first, second, data
            )
        assert str(reverted.value) == wanted


@pytest.mark.parametrize("height", range(1, 11))
def test_a_node_of_the_tree_is_no_root(world: DisputeWorld, height: int) -> None:
    """Given a true game and a node above its first root, whose shorter branch leads to the top, then it is no claimed root.

    STEP gives another root than that node, so without the branch's length every true game would fall.
    """
    game = world.game(BLOCKS)
    branch = game.tree.branch(0)
    node = top_of_branch(game.tree.roots[0], 0, branch[:height])
    assert top_of_branch(node, 0, branch[height:]) == game.tree.tree
    with pytest.raises(Reverted, match=r"^WrongBranch\(0,\)$"):
        world.network.world.transact(
            CHALLENGER,
            game.contract,
            "proveFault",
            node,
            (),
            branch[height:],
            world.inputs[1].encode(),
        )
    assert world.status(game) == IN_PROGRESS


Change = Callable[[StepInput], bytes]

HOSTILE: Final[dict[str, tuple[Change, str]]] = {
    "no witness": (lambda given: given.encode()[:320], "step_malformed"),
    "a byte more": (lambda given: given.encode() + b"\0", "step_malformed"),
    "a byte less": (lambda given: given.encode()[:-1], "step_malformed"),
    "nested lists": (lambda given: given.words() + b"\xc1" * 50_000 + b"\xc0", "step_malformed"),
    "a huge length": (lambda given: given.words() + b"\xff" + b"\xff" * 8, "step_malformed"),
    "a bomb": (
        lambda given: replace(given, batch=bytes.fromhex("cf" + "ff" * 300)).encode(),
        "step_batch",
    ),
    "no nodes": (lambda given: replace(given, nodes=()).encode(), "step_insufficient"),
    "no codes": (lambda given: replace(given, codes=()).encode(), "step_insufficient"),
    "a node less": (
        lambda given: replace(given, nodes=given.nodes[:-1]).encode(),
        "step_insufficient",
    ),
    "another batch": (
        lambda given: replace(given, batch=given.batch + b"\0").encode(),
        "step_batch",
    ),
    "no origins": (lambda given: replace(given, origin_hashes=b"").encode(), "step_origin"),
    "another origin": (
        lambda given: replace(given, origin_header=given.parent_header).encode(),
        "step_origin",
    ),
    "another parent": (
        lambda given: replace(given, parent_header=given.origin_header).encode(),
        "step_parent",
    ),
    "no requests": (lambda given: replace(given, last_request=b"").encode(), "step_requests"),
}
"""What may be brought for an L2 block that takes a deposit in, and what STEP says to it."""


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_witness_that_proves_nothing_is_no_fault(world: DisputeWorld, name: str) -> None:
    """Given a hostile witness against a true root and against a false one, then STEP refuses, and both games go on."""
    change, reason = HOSTILE[name]
    (number,) = [one for one, given in world.inputs.items() if given.last_request]
    data = change(world.inputs[number])
    for game in (
        world.game(BLOCKS),
        world.game(BLOCKS, wrong={number: wrong_root()}, sender=LIAR),
    ):
        refused(world, game, number, data, f"StepFailed{(reason.encode(),)}")


@pytest.mark.parametrize("size", [0, 1, 31, 319])
def test_bytes_that_are_too_short_for_the_words_are_refused(world: DisputeWorld, size: int) -> None:
    game = world.game(BLOCKS)
    refused(world, game, 6, world.inputs[6].encode()[:size], f"WrongInput({size // 32},)")


def test_order_and_surplus_of_a_witness_do_not_matter(world: DisputeWorld) -> None:
    """Given nodes reordered, twice, and foreign ones among them, then the answer is the same."""
    true = world.game(BLOCKS)
    false = world.game(BLOCKS, wrong={2: wrong_root()}, sender=LIAR)
    given = world.inputs[2]
    nodes = (*reversed(given.nodes), *given.nodes, *world.inputs[12].nodes, b"\x01" * 64)
    data = replace(given, nodes=nodes).encode()
    refused(world, true, 2, data, "NoFault()")
    world.prove(false, 2, data=data)
    assert world.status(false) == CHALLENGER_WINS


def test_an_inbox_silent_for_8192_blocks_stops_no_proof() -> None:
    """Given 8,192 L1 blocks without a record after a false claim, then it falls as on the first day, and forced blocks after."""
    world = DisputeWorld.open()
    world.append([[]] * 3, advances=2)
    game = world.game(3, wrong={2: wrong_root()}, sender=LIAR)
    world.pass_blocks(8_192)
    world.prove(game, 2)
    assert world.status(game) == CHALLENGER_WINS

    # The Inbox's own way out of silence: hashes that L1 has forgotten are proven by headers.
    newest = world.height + 1 - 8_191 + 40
    for start in range(newest, 1, -120):
        headers = [world.network.header(at) for at in range(start, max(start - 120, 1), -1)]
        world.network.world.transact(FORCER, world.network.inbox, "anchorHeaders", start, headers)
    world.force(5)
    after = world.game(6, wrong={5: wrong_root()}, sender=LIAR)
    world.prove(after, 5)
    assert world.status(after) == CHALLENGER_WINS
    assert world.network.world.read(ANCHORS, "isGameRegistered", Address(after.address)) is True


def test_a_false_root_never_stands_for_another_block(world: DisputeWorld) -> None:
    """Given two claims that differ in one root, then a proof against one is none against the other."""
    true = world.game(BLOCKS)
    false = world.game(BLOCKS, wrong={6: wrong_root()}, sender=LIAR)
    arguments = world.prove_arguments(false, 6)
    with pytest.raises(Reverted, match=r"^WrongBranch\(4,\)$"):
        world.network.world.transact(CHALLENGER, true.contract, "proveFault", *arguments)


def test_a_claim_that_starts_from_an_unknown_root_falls_with_its_parent(
    world: DisputeWorld,
) -> None:
    """Given a false parent with a root of no state, and a child on it, then the child falls through its parent alone."""
    unknown = wrong_root(77)
    parent = world.game(4, wrong={4: unknown}, sender=LIAR)
    child = world.game(8, parent=parent, sender=LIAR)
    given = replace(world.inputs[5], pre_root=unknown)
    refused(world, child, 5, given.encode(), f"StepFailed{(b'step_parent',)}")
    world.prove(parent, 4)
    world.network.world.transact(FORCER, child.contract, "resolve", b"", 0, [], 0)
    assert world.status(child) == CHALLENGER_WINS
