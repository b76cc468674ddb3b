"""Where a withdrawal stands: every stage, every comparison at its edge, and the turns between stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bridge.withdrawals.stages import (
    Game,
    L1Facts,
    L2Facts,
    Need,
    Proof,
    Stage,
    Terms,
    Wait,
    game_waits,
    standing,
)
from node.contracts.disputes import GameStatus
from node.eth.primitives import Address, Hash32

TERMS: Final = Terms(maturity_seconds=26, air_gap_blocks=2, slot_seconds=2)

SAFE: Final = L2Facts(number=9, is_safe=True)

GAME: Final = Game(
    index=4,
    address=Address(b"\x9a" * 20),
    l2_block=10,
    root_claim=Hash32(b"\x0c" * 32),
    status=GameStatus.IN_PROGRESS,
    created_block=100,
    created_at=1_200,
    resolvable_from=106,
    resolved_block=0,
    is_proper=True,
)

PROOF: Final = Proof(
    submitter=Address(b"\x5b" * 20), proven_at=1_210, is_final=True, game=GAME
)  # in block 105

HEAD: Final = L1Facts(
    number=107,
    timestamp=1_214,
    finalized_number=103,
    is_paused=False,
    is_settled=False,
    is_settlement_final=False,
    proofs=(),
    candidate=None,
)


def resolved(block: int, status: GameStatus = GameStatus.DEFENDER_WINS) -> Game:
    return replace(GAME, status=status, resolved_block=block)


def against(game: Game) -> Proof:
    return replace(PROOF, game=game)


def test_an_initiated_withdrawal_waits_for_a_game_and_before_that_for_its_data() -> None:
    found = standing(SAFE, HEAD, TERMS)
    assert (found.stage, found.waits) == (Stage.INITIATED, (Wait(need=Need.GAME),))
    unsafe = standing(replace(SAFE, is_safe=False), HEAD, TERMS)
    assert [wait.need for wait in unsafe.waits] == [Need.DATA, Need.GAME]
    assert unsafe.expected_at is None


def test_a_covered_withdrawal_waits_for_its_proof() -> None:
    found = standing(SAFE, replace(HEAD, candidate=GAME), TERMS)
    assert found.stage is Stage.PROVABLE
    assert found.waits == (Wait(need=Need.PROOF),)
    assert found.game == GAME


def test_a_proof_is_proven_until_it_is_final_and_then_in_challenge() -> None:
    young = replace(PROOF, is_final=False)
    for proof, stage in ((young, Stage.PROVEN), (PROOF, Stage.IN_CHALLENGE)):
        found = standing(SAFE, replace(HEAD, proofs=(proof,)), TERMS)
        assert found.stage is stage
        assert found.waits == (
            # Block 106 has to be final, which 103 is: three more slots.
            Wait(need=Need.CHALLENGE, block=106, expected_at=1_214 + 3 * 2),
            # Resolved in the block after, then strictly more than two.
            Wait(need=Need.AIR_GAP, expected_at=1_214 + (3 + 1 + 3) * 2),
            Wait(need=Need.MATURITY, timestamp=1_237, expected_at=1_237),
        )
        assert found.expected_at == 1_237


def test_the_window_ends_with_a_final_block_and_a_fault_of_any_game_moves_it_on() -> None:
    over = replace(HEAD, finalized_number=106, proofs=(PROOF,))
    assert standing(SAFE, over, TERMS).waits[0].need is Need.RESOLUTION
    moved = against(replace(GAME, resolvable_from=107))
    found = standing(SAFE, replace(over, proofs=(moved,)), TERMS)
    assert found.waits[0] == Wait(need=Need.CHALLENGE, block=107, expected_at=1_214 + 2)


def test_a_game_that_holds_nothing_waits_for_nothing() -> None:
    assert game_waits(resolved(110, GameStatus.CHALLENGER_WINS), HEAD, TERMS) == ()
    assert game_waits(replace(GAME, is_proper=False), HEAD, TERMS) == ()
    assert [wait.need for wait in game_waits(GAME, HEAD, TERMS)] == [Need.CHALLENGE, Need.AIR_GAP]


@pytest.mark.parametrize(("number", "is_over"), [(112, False), (113, True)])
def test_the_air_gap_is_strict(number: int, is_over: bool) -> None:
    proof = against(resolved(110))
    head = replace(HEAD, number=number, timestamp=5_000, proofs=(proof,))
    found = standing(SAFE, head, TERMS)
    if is_over:
        assert (found.stage, found.waits) == (
            Stage.FINALIZABLE,
            (Wait(need=Need.FINALIZATION),),
        )
    else:
        assert found.waits == (Wait(need=Need.AIR_GAP, block=113, expected_at=5_002),)


@pytest.mark.parametrize(("timestamp", "is_over"), [(1_236, False), (1_237, True)])
def test_maturity_is_strict(timestamp: int, is_over: bool) -> None:
    proof = against(resolved(110))
    head = replace(HEAD, number=200, timestamp=timestamp, proofs=(proof,))
    found = standing(SAFE, head, TERMS)
    assert (found.stage is Stage.FINALIZABLE) is is_over
    if not is_over:
        assert found.waits == (Wait(need=Need.MATURITY, timestamp=1_237, expected_at=1_237),)


@pytest.mark.parametrize(
    "game", [resolved(110, GameStatus.CHALLENGER_WINS), replace(GAME, is_proper=False)]
)
def test_a_withdrawal_whose_game_fell_is_provable_again(game: Game) -> None:
    fallen = against(game)
    head = replace(HEAD, proofs=(fallen,))
    # Given no other game that covers it
    found = standing(SAFE, head, TERMS)
    assert (found.stage, found.fallen, found.proof) == (Stage.INITIATED, (fallen,), None)
    # When there is one
    other = replace(GAME, index=5, address=Address(b"\x9b" * 20))
    found = standing(SAFE, replace(head, candidate=other), TERMS)
    # Then it can be proven against that, and says what it lost
    assert (found.stage, found.game, found.fallen) == (Stage.PROVABLE, other, (fallen,))


def test_a_proof_that_l1_dropped_leaves_no_trace() -> None:
    proven = standing(SAFE, replace(HEAD, proofs=(PROOF,), candidate=GAME), TERMS)
    assert proven.stage is Stage.IN_CHALLENGE
    assert standing(SAFE, replace(HEAD, candidate=GAME), TERMS).stage is Stage.PROVABLE


def test_of_many_proofs_the_soonest_counts() -> None:
    late = replace(PROOF, submitter=Address(b"\x01" * 20), proven_at=1_214)
    lost = resolved(106, GameStatus.CHALLENGER_WINS)
    fallen = replace(PROOF, game=lost, submitter=Address(b"\x02" * 20))
    for proofs in ((late, PROOF, fallen), (fallen, PROOF, late), (PROOF, late)):
        assert standing(SAFE, replace(HEAD, proofs=proofs), TERMS).proof == PROOF


OWN: Final = Address(b"\x0e" * 20)


def test_who_acts_proves_beside_a_strangers_proof_that_is_not_ready() -> None:
    # Given a stranger who proves again before each maturity
    stranger = against(resolved(110))
    head = replace(HEAD, number=200, candidate=GAME)
    for again in range(3):
        proven_at = 1_210 + 26 * again
        restarted = replace(stranger, proven_at=proven_at)
        young = replace(head, timestamp=proven_at + 26, proofs=(restarted,))
        # Then whoever has a key does not wait for that, and others see what L1 holds
        found = standing(SAFE, young, TERMS, own=OWN)
        assert (found.stage, found.waits) == (Stage.PROVABLE, (Wait(need=Need.PROOF),))
        assert (found.game, found.proof) == (GAME, None)
        assert standing(SAFE, young, TERMS).proof == restarted


def test_who_has_proven_once_waits_for_that_proof_and_makes_no_other() -> None:
    own = replace(PROOF, submitter=OWN, proven_at=1_212)
    sooner = replace(PROOF, proven_at=1_200)
    for proofs in ((own, sooner), (sooner, own), (own,)):
        found = standing(SAFE, replace(HEAD, proofs=proofs, candidate=GAME), TERMS, own=OWN)
        assert (found.stage, found.proof) == (Stage.IN_CHALLENGE, own)
    # When its game falls it is proven again, whatever a stranger has
    fallen = replace(own, game=resolved(106, GameStatus.CHALLENGER_WINS))
    lost = replace(HEAD, proofs=(fallen, sooner), candidate=GAME)
    found = standing(SAFE, lost, TERMS, own=OWN)
    assert (found.stage, found.fallen) == (Stage.PROVABLE, (fallen,))


def test_a_strangers_proof_counts_once_it_can_be_finalized_and_the_own_one_before_it() -> None:
    ready = against(resolved(110))
    head = replace(HEAD, number=200, timestamp=1_237, candidate=GAME)
    assert standing(SAFE, replace(head, proofs=(ready,)), TERMS, own=OWN).proof == ready
    young = replace(ready, submitter=OWN, proven_at=1_230)
    for proofs in ((ready, young), (young, ready)):
        found = standing(SAFE, replace(head, proofs=proofs), TERMS, own=OWN)
        assert (found.stage, found.proof) == (Stage.FINALIZABLE, ready)
    # A stranger could still restart its own clock under a call, so nobody's proof is better than one's own
    own = replace(ready, submitter=OWN)
    for proofs in ((ready, own), (own, ready)):
        assert standing(SAFE, replace(head, proofs=proofs), TERMS, own=OWN).proof == own


def test_a_strangers_proof_is_waited_for_where_there_is_no_game_to_prove_against() -> None:
    found = standing(SAFE, replace(HEAD, proofs=(PROOF,)), TERMS, own=OWN)
    assert (found.stage, found.proof) == (Stage.IN_CHALLENGE, PROOF)


def test_a_pause_holds_back_what_the_portal_does_and_nothing_else() -> None:
    paused = replace(HEAD, is_paused=True)
    assert standing(SAFE, paused, TERMS).waits == (Wait(need=Need.GAME),)
    provable = standing(SAFE, replace(paused, candidate=GAME), TERMS)
    assert (provable.stage, provable.waits) == (Stage.PROVABLE, (Wait(need=Need.UNPAUSE),))
    challenged = standing(SAFE, replace(paused, proofs=(PROOF,)), TERMS)
    assert challenged.stage is Stage.IN_CHALLENGE
    assert challenged.waits[-1].need is Need.UNPAUSE
    assert challenged.expected_at is None
    ready = replace(paused, number=300, timestamp=9_000, proofs=(against(resolved(110)),))
    found = standing(SAFE, ready, TERMS)
    assert (found.stage, found.waits) == (Stage.FINALIZABLE, (Wait(need=Need.UNPAUSE),))


def test_what_is_settled_waits_for_nothing_and_stays_so() -> None:
    fallen = against(resolved(106, GameStatus.CHALLENGER_WINS))
    for proofs in ((), (PROOF,), (fallen,)):
        for is_paused in (False, True):
            head = replace(HEAD, is_settled=True, is_paused=is_paused, proofs=proofs)
            found = standing(SAFE, head, TERMS)
            assert (found.stage, found.waits, found.expected_at) == (Stage.SETTLED, (), None)


games = st.builds(
    replace,
    st.just(GAME),
    status=st.sampled_from(GameStatus),
    resolvable_from=st.integers(1, 400),
    resolved_block=st.integers(1, 400),
    is_proper=st.booleans(),
)
proofs_of_any_kind = st.builds(
    replace,
    st.just(PROOF),
    proven_at=st.integers(0, 900),
    is_final=st.booleans(),
    game=games,
)
heads = st.builds(
    L1Facts,
    number=st.integers(1, 400),
    timestamp=st.integers(0, 900),
    finalized_number=st.integers(0, 400),
    is_paused=st.booleans(),
    is_settled=st.booleans(),
    is_settlement_final=st.booleans(),
    proofs=st.lists(proofs_of_any_kind, max_size=4).map(tuple),
    candidate=st.none() | games.filter(lambda game: game.can_hold),
)


def portal_lets(proof: Proof, head: L1Facts) -> bool:
    """The Portal's and the registry's own rule, written down once more."""
    game = proof.game
    is_final = game.status is GameStatus.DEFENDER_WINS and (
        head.number > game.resolved_block + TERMS.air_gap_blocks
    )
    is_old = head.timestamp - proof.proven_at > TERMS.maturity_seconds
    return game.is_proper and is_final and is_old and not (head.is_paused or head.is_settled)


@given(heads, st.booleans())
def test_finalization_is_asked_for_exactly_when_the_portal_lets(
    head: L1Facts, is_safe: bool
) -> None:
    found = standing(replace(SAFE, is_safe=is_safe), head, TERMS)
    may = any(portal_lets(proof, head) for proof in head.proofs)
    assert may == (Need.FINALIZATION in [wait.need for wait in found.waits])
    if may:
        assert found.stage is Stage.FINALIZABLE
        assert found.proof is not None
        assert portal_lets(found.proof, head)


@given(heads)
def test_nobody_who_can_act_waits_for_a_stranger(head: L1Facts) -> None:
    own = replace(head, proofs=tuple(replace(one, submitter=OWN) for one in head.proofs[:1]))
    for facts in (head, own):
        found = standing(SAFE, facts, TERMS, own=OWN)
        if found.stage in (Stage.PROVEN, Stage.IN_CHALLENGE) and facts.candidate is not None:
            assert found.proof is not None
            assert found.proof.submitter == OWN


@given(heads)
def test_only_what_is_settled_waits_for_nothing(head: L1Facts) -> None:
    found = standing(SAFE, head, TERMS)
    assert (found.waits == ()) == (found.stage is Stage.SETTLED)
    assert all(not proof.game.can_hold for proof in found.fallen)
    assert found.proof is None or found.proof.game.can_hold
