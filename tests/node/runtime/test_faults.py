"""Faults: what users may ask for, how long it lasts, who is told."""

from __future__ import annotations

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given, strategies as st

from node.runtime.fault_catalogue import FAULTS, L1_FAULTS, L2_FAULTS, faults_of
from node.runtime.fault_entries import (
    DURATION,
    ROLES,
    CatalogueEntry,
    Kind,
    Parameter,
    read_parameters,
    read_values,
)
from node.runtime.faults import FaultBoard

NAMES = [entry.name for entry in FAULTS]
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
EVERY: dict[str, dict[str, object]] = {
    "partition": {"groups": [["validator-0"], ["validator-1", "sequencer"]]},
    "delay": {"ms": 100, "jitter_ms": 50},
    "drop": {"ratio": 0.25},
    "miss-slots": {"slots": [7, 9]},
    "equivocate": {"count": 2},
    "vote-equivocate": {},
    "late-block": {"delay_ms": 900},
    "withhold-votes": {"slots": 3},
    "withhold-blobs": {},
    "clock-skew": {"ms": -400},
    "sequencer-stop": {},
    "censor-sender": {"address": ADDRESS},
    "garbage-batch": {"count": 3},
    "bomb-batch": {},
    "truncated-batch": {},
    "overlapping-batch": {},
    "equivocate-unsafe": {"count": 2},
    "lie-timestamps": {"seconds": -30},
    "batcher-stall": {"duration": 60},
}


def test_the_catalogue_tells_everything_a_user_needs() -> None:
    catalogue = [entry.described() for entry in FAULTS]
    assert [entry["name"] for entry in catalogue] == list(EVERY)
    assert orjson.loads(orjson.dumps(catalogue))
    for entry in FAULTS:
        assert entry.layer == ("l1" if entry in L1_FAULTS else "l2")
        assert entry.roles
        assert set(entry.roles) <= set(ROLES)
        assert entry.summary.endswith(".")
        assert entry.expect.endswith(".")
        assert entry.heals.endswith(".")
        for parameter in entry.parameters:
            assert parameter.help.endswith(".")
            assert parameter.unit or parameter.name in ("groups", "address")


def test_a_process_does_wrong_only_what_its_role_does() -> None:
    names = {role: {entry.name for entry in faults_of(role)} for role in ROLES}
    links = {"partition", "delay", "drop", "clock-skew"}
    for role in ("replica", "bridge", "watchtower"):
        assert names[role] == links
    assert names["sequencer"] == links | {entry.name for entry in L2_FAULTS}
    assert names["validator"] == {entry.name for entry in L1_FAULTS}


async def test_a_board_refuses_what_another_role_does() -> None:
    with pytest.raises(ValueError, match="no fault is called 'equivocate'"):
        await FaultBoard(faults_of("sequencer")).inject("equivocate", {})
    with pytest.raises(ValueError, match="no fault is called 'garbage-batch'"):
        await FaultBoard(faults_of("validator")).inject("garbage-batch", {})


@pytest.mark.parametrize("role", ROLES)
def test_a_part_that_several_roles_run_may_ask_for_what_only_one_of_them_does(role: str) -> None:
    """Given a follower of L1, then its pool, which asks whether blobs are withheld, is told no."""
    board = FaultBoard(faults_of(role))
    assert [board.find(name) for name in NAMES] == [None] * len(NAMES)
    assert [board.use(name) for name in NAMES] == [None] * len(NAMES)
    with pytest.raises(AssertionError, match="no-such-fault"):
        board.find("no-such-fault")


async def test_an_address_is_read_in_any_case() -> None:
    board = FaultBoard(L2_FAULTS)
    await board.inject("censor-sender", {"address": ADDRESS})
    censored = board.find("censor-sender")
    assert censored is not None
    assert censored.address("address") == bytes.fromhex(ADDRESS[2:])
    assert board.active() == [{"name": "censor-sender", "parameters": {"address": ADDRESS.lower()}}]


@pytest.mark.parametrize("name", NAMES)
async def test_every_fault_starts_shows_and_heals(name: str) -> None:
    board = FaultBoard(FAULTS)
    told: list[list[object]] = []
    board.on_change(lambda: told.append([one["name"] for one in board.active()]))
    started = await board.inject(name, EVERY[name])
    assert started["name"] == name
    assert [one["name"] for one in board.active()] == [name]
    assert board.find(name) is not None
    assert await board.heal(name) == [name]
    assert await board.heal(name) == []
    assert board.find(name) is None
    assert told == [[name], []]


@pytest.mark.parametrize(
    ("name", "given_parameters", "message"),
    [
        ("nonsense", {}, "no fault is called 'nonsense'; there are: partition, delay, drop, "
         "miss-slots, equivocate, vote-equivocate, late-block, withhold-votes, withhold-blobs, "
         "clock-skew"),
        ("delay", {}, "delay: parameter 'ms' is missing: an integer from 0 to 60000 (milliseconds)"),
        ("delay", {"ms": "9"},
         "delay: parameter 'ms': want an integer from 0 to 60000 (milliseconds), found '9'"),
        ("delay", {"ms": True},
         "delay: parameter 'ms': want an integer from 0 to 60000 (milliseconds), found 'True'"),
        ("delay", {"ms": 60_001},
         "delay: parameter 'ms': want an integer from 0 to 60000 (milliseconds), found '60001'"),
        ("delay", {"ms": 1, "colour": 1},
         "delay: no parameter is called 'colour'; there are: ms, jitter_ms, duration"),
        ("drop", {"ratio": 1.01},
         "drop: parameter 'ratio': want a number from 0 to 1, found '1.01'"),
        ("drop", {"ratio": float("nan")},
         "drop: parameter 'ratio': want a number from 0 to 1, found 'nan'"),
        ("equivocate", {"count": 0},
         "equivocate: parameter 'count': want an integer from 1 to 10000 (blocks), found '0'"),
        ("equivocate", {"duration": 0},
         "equivocate: parameter 'duration': want an integer from 1 to 86400 (seconds), found '0'"),
        ("miss-slots", {"slots": [1, "2"]},
         "miss-slots: parameter 'slots': want a list of 1 to 1024 slot numbers, found \"[1, '2']\""),
        ("partition", {"groups": [["a"], ["a"]]},
         "partition: parameter 'groups': want 2 to 32 lists of process names, none of them twice, "
         "found \"[['a'], ['a']]\""),
        ("partition", {"groups": ["ab", "cd"]},
         "partition: parameter 'groups': want 2 to 32 lists of process names, none of them twice, "
         "found \"['ab', 'cd']\""),
        ("partition", {"groups": [["a"]]},
         "partition: parameter 'groups': want 2 to 32 lists of process names, none of them twice, "
         "found \"[['a']]\""),
        ("censor-sender", {"address": "0x70"},
         "censor-sender: parameter 'address': want an address as 0x and 40 hex digits, found '0x70'"),
        ("censor-sender", {"address": 7},
         "censor-sender: parameter 'address': want an address as 0x and 40 hex digits, found '7'"),
        ("censor-sender", {},
         "censor-sender: parameter 'address' is missing: an address as 0x and 40 hex digits"),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(
    name: str, given_parameters: dict[str, object], message: str
) -> None:
    board = FaultBoard(L1_FAULTS if name != "censor-sender" else L2_FAULTS)
    with pytest.raises(ValueError, match=r".") as caught:
        await board.inject(name, given_parameters)
    assert str(caught.value) == message
    assert board.active() == []


async def test_a_fault_of_other_roles_is_healed_by_having_none_of_it() -> None:
    board = FaultBoard(faults_of("sequencer"))
    await board.inject("delay", {"ms": 1})
    assert await board.heal("equivocate") == []
    assert [fault["name"] for fault in board.active()] == ["delay"]


async def test_healing_an_unknown_fault_names_it() -> None:
    with pytest.raises(ValueError, match="no fault is called 'nonsense'"):
        await FaultBoard().heal("nonsense")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.sampled_from(FAULTS), st.data())
def test_whatever_is_given_is_read_or_refused_by_name(
    fault: CatalogueEntry, data: st.DataObject
) -> None:
    names = st.sampled_from([*(one.name for one in (*fault.parameters, DURATION)), "other"])
    parameters = data.draw(st.dictionaries(names, json_values, max_size=3))
    message = ""
    try:
        values = read_parameters(fault, parameters)
    except ValueError as error:
        message = str(error)
    else:
        assert set(values) <= {one.name for one in (*fault.parameters, DURATION)}
    assert not message or message.startswith(f"{fault.name}: ")


async def test_a_count_is_used_up() -> None:
    board = FaultBoard()
    await board.inject("equivocate", {"count": 2})
    assert board.use("equivocate") is not None
    assert board.active() == [{"name": "equivocate", "parameters": {"count": 2}, "left": 1}]
    assert board.use("equivocate") is not None
    assert board.use("equivocate") is None
    assert board.active() == []


async def test_listed_slots_are_missed_and_no_others() -> None:
    board = FaultBoard()
    await board.inject("miss-slots", {"slots": [7, 9]})
    assert [board.misses(slot) for slot in range(6, 11)] == [False, True, False, True, False]
    assert board.active() == []
    await board.inject("miss-slots", {"count": 1})
    assert [board.misses(slot) for slot in range(6, 9)] == [True, False, False]


async def test_breaking_again_replaces() -> None:
    board = FaultBoard()
    await board.inject("drop", {"ratio": 0.5})
    await board.inject("drop", {"ratio": 1})
    fault = board.find("drop")
    assert fault is not None
    assert fault.ratio("ratio") == 1.0
    assert await board.heal() == ["drop"]


async def test_a_duration_heals(autojump_clock: trio.testing.MockClock) -> None:
    board = FaultBoard()
    async with trio.open_nursery() as nursery:
        await nursery.start(board.run)
        await board.inject("drop", {"ratio": 0.5, "duration": 10})
        await board.inject("delay", {"ms": 5, "duration": 20})
        await trio.sleep(9)
        assert [one["healsInSeconds"] for one in board.active()] == [1.0, 11.0]
        await trio.sleep(2)
        assert [one["name"] for one in board.active()] == ["delay"]
        await trio.sleep(10)
        assert board.active() == []
        nursery.cancel_scope.cancel()


async def test_an_old_timer_does_not_heal_a_new_fault(
    autojump_clock: trio.testing.MockClock,
) -> None:
    board = FaultBoard()
    async with trio.open_nursery() as nursery:
        await nursery.start(board.run)
        await board.inject("drop", {"ratio": 0.5, "duration": 10})
        await trio.sleep(5)
        await board.inject("drop", {"ratio": 0.6})
        await trio.sleep(60)
        assert [one["name"] for one in board.active()] == ["drop"]
        await board.heal()
        nursery.cancel_scope.cancel()


def test_a_choice_is_one_of_its_words() -> None:
    parameter = Parameter(
        name="at",
        kind=Kind.CHOICE,
        unit="",
        help="Which.",
        choices=("first", "last"),
        default="last",
    )
    assert parameter.described()["choices"] == ["first", "last"]
    assert read_values("attack", [parameter], {"at": "first"}) == {"at": "first"}
    assert read_values("attack", [parameter], {}) == {"at": "last"}
    for found in ("middle", 1, ["first"]):
        with pytest.raises(ValueError, match="attack: parameter 'at': want one of first, last"):
            read_values("attack", [parameter], {"at": found})
