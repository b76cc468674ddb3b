"""Which nonce goes to what: the laws, over histories of any kind."""

from __future__ import annotations

from hypothesis import given, strategies as st

from bridge.sending.planning import (
    BACKOFF_BLOCKS_MAX,
    Outcome,
    Placing,
    look,
    to_be_emptied,
)
from bridge.sending.slots import EMPTY_KEY, Slot, Version
from bridge.sending.wants import Want
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

TO = Address(b"\x0c" * 20)
KEYS = ("a", "b", "c", "d", "e", EMPTY_KEY)
IN_FLIGHT_MAX = 6


def version(nonce: int, place: int, key: str) -> Version:
    return Version(hash=keccak256(f"{nonce}/{place}".encode()), key=key)


def slot(nonce: int, *keys: str) -> Slot:
    versions = tuple(version(nonce, place, key) for place, key in enumerate(keys))
    return Slot(nonce=nonce, versions=versions, raw=b"", sent_at=0)


def want(key: str, follows: str | None = None) -> Want:
    return Want(
        key=key, to=TO, call_data=b"", follows=follows, gas_limit=None if follows is None else 1
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Slot], int, dict[Hash32, Outcome]]:
    """Slots with gaps, the account's nonce somewhere among them, outcomes of one version of each that L1 has taken."""
    nonces = draw(st.lists(st.integers(0, 12), unique=True, max_size=8))
    slots = [
        slot(nonce, *draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)))
        for nonce in sorted(nonces)
    ]
    nonce = draw(st.integers(0, 13))
    outcomes: dict[Hash32, Outcome] = {}
    for one in slots:
        if one.nonce < nonce and draw(st.booleans()):
            taken = draw(st.sampled_from(one.versions))
            outcomes[taken.hash] = Outcome(
                number=draw(st.integers(0, 50)), succeeded=draw(st.booleans())
            )
    return slots, nonce, outcomes


wanted_keys = st.lists(st.sampled_from(KEYS[:-1]), unique=True, max_size=5)


@given(histories(), wanted_keys, st.integers(0, 200))
def test_the_laws_of_nonces(
    history: tuple[list[Slot], int, dict[Hash32, Outcome]], keys: list[str], head: int
) -> None:
    slots, nonce, outcomes = history
    wants = [want(key) for key in keys]
    outlook = look(slots, wants, nonce=nonce, head_number=head, outcomes=outcomes)
    placing = Placing(outlook, wants, in_flight_max=IN_FLIGHT_MAX)
    placed: dict[str, int] = {}
    for one in outlook.due:
        place = placing.find(one)
        if place is not None:
            placing.take(one, place)
            placed[one.key] = place.nonce
    kept = dict(outlook.in_flight)
    # No key twice, no nonce twice, and nothing that is wanted lost its nonce
    assert not kept.keys() & placed.keys()
    used = [*kept.values(), *placed.values()]
    assert len(used) == len(set(used))
    live = {one.nonce: one for one in slots if one.nonce >= nonce}
    for key, at in placed.items():
        assert at >= nonce
        assert (
            at not in live or live[at].key not in keys or live[at].key in {*kept, *placed} - {key}
        )
    # Without a gap: what is used, left over and empty covers everything up to the highest
    left = {one.nonce for one in placing.vacant} | set(placing.gaps)
    covered = set(used) | left
    assert covered == set(range(nonce, max(covered, default=nonce - 1) + 1))
    # A want rests after what L1 has just held with success
    for before in slots:
        for version_ in before.versions:
            outcome = outcomes.get(version_.hash)
            if outcome is not None and outcome.succeeded and version_.key in placed:
                assert head >= outcome.number + BACKOFF_BLOCKS_MAX
    # Nothing new beyond the bound
    fresh = [at for at in placed.values() if at >= outlook.next_nonce]
    assert not fresh or len(used) + len(left) <= IN_FLIGHT_MAX


def test_failures_are_waited_out_ever_longer() -> None:
    slots = [slot(nonce, "a") for nonce in range(4)]
    for failures, pause in ((1, 1), (2, 2), (3, 4), (4, 8)):
        outcomes = {one.hash: Outcome(number=10, succeeded=False) for one in slots[:failures]}
        for head, is_due in ((10 + pause - 1, False), (10 + pause, True)):
            outlook = look(slots, [want("a")], nonce=4, head_number=head, outcomes=outcomes)
            assert bool(outlook.due) is is_due


def test_what_follows_takes_a_nonce_above_and_waits_for_its_predecessor() -> None:
    first, second = want("publish"), want("create", follows="publish")
    # Given a vacant nonce below the predecessor's
    slots = [slot(3, "old"), slot(4, "publish")]
    outlook = look(slots, [first, second], nonce=3, head_number=9, outcomes={})
    placing = Placing(outlook, [first, second], in_flight_max=4)
    place = placing.find(second)
    assert place is not None
    assert (place.nonce, place.is_simulated) == (5, False)
    # Without the predecessor on its way it waits; with nobody wanting that any more it stands alone
    lone = Placing(
        look([], [first, second], nonce=3, head_number=9, outcomes={}),
        [first, second],
        in_flight_max=4,
    )
    assert lone.find(second) is None
    free = Placing(
        look([], [second], nonce=3, head_number=9, outcomes={}), [second], in_flight_max=4
    )
    place = free.find(second)
    assert place is not None
    assert place.is_simulated


def test_empty_transfers_are_not_emptied_again() -> None:
    slots = [slot(0, "a"), slot(1, "b", EMPTY_KEY)]
    outlook = look(slots, [], nonce=0, head_number=1, outcomes={})
    assert [one.nonce for one in outlook.vacant] == [0, 1]
    assert [one.nonce for one in to_be_emptied(outlook.vacant)] == [0]
