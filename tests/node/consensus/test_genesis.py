"""A genesis file is read back as it was written, or refused with the key that is wrong."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, strategies as st

from node.consensus.genesis import Genesis, genesis_document, genesis_state, parse
from node.consensus.parameters import Parameters
from node.consensus.reasons import Reason
from node.errors import Rejected
from node.eth.primitives import Hash32
from tests.node.consensus.network import network

GENESIS = network(4).genesis


def document(genesis: Genesis = GENESIS) -> dict[str, object]:
    return {
        "config": {"chainId": genesis.chain_id},
        "timestamp": hex(genesis.time),
        "consensus": genesis_document(genesis),
    }


def changed(path: str, value: object) -> object:
    """A document with the value at a path replaced; `...` removes the key."""
    found = copy.deepcopy(document())
    place: object = found
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]  # type: ignore[index]
    assert isinstance(place, dict | list)
    if value is ...:
        del place[last]  # type: ignore[arg-type]
    else:
        place[last if isinstance(place, dict) else int(last)] = value  # type: ignore[index]
    return found


def test_a_genesis_round_trips_through_json() -> None:
    assert parse(json.loads(json.dumps(document()))) == GENESIS


def test_a_decimal_timestamp_will_do() -> None:
    assert parse(changed("timestamp", GENESIS.time)) == GENESIS


def test_what_is_left_out_is_the_default() -> None:
    bare = {"validators": genesis_document(GENESIS)["validators"]}
    assert parse({**document(), "consensus": bare}).parameters == Parameters()
    long = {**bare, "slots_per_epoch": 32}
    assert parse({**document(), "consensus": long}).parameters.lookahead_slots == 64


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("consensus", ..., "consensus: found nothing, want this key"),
        ("config", ..., "config: found nothing, want this key"),
        ("config.chainId", ..., "config.chainId: found nothing, want this key"),
        ("config.chainId", "900", "config.chainId: found '900', want an integer from 1 to 9007199254740991"),
        ("timestamp", ..., "timestamp: found nothing, want this key"),
        ("timestamp", "0x", "timestamp: found '0x', want an integer or a hex quantity"),
        ("timestamp", "0xzz", "timestamp: found '0xzz', want an integer or a hex quantity"),
        ("timestamp", -1, f"timestamp: found -1, want an integer from 0 to {(1 << 63) - 1}"),
        ("consensus.slot_seconds", 0, "consensus.slot_seconds: found 0, want an integer from 1 to 3600"),
        ("consensus.slot_seconds", 1.5, "consensus.slot_seconds: found 1.5, want an integer from 1 to 3600"),
        ("consensus.slot_seconds", True, "consensus.slot_seconds: found True, want an integer from 1 to 3600"),
        ("consensus.slots_per_epoch", 33, "consensus.slots_per_epoch: found 33, want an integer from 1 to 32"),
        ("consensus.slots_per_epoch", 4, "consensus.lookahead_slots: found 4, want at least max(4, 2 * slots_per_epoch) = 8"),
        ("consensus.onion_layers", 31, "consensus.onion_layers: found 31, want an even number"),
        ("consensus.vote_due_permille", 800, "consensus.vote_due_permille: found 800, want less than freeze_permille = 800"),
        ("consensus.max_validators", 3, "consensus.validators: found 4 validators, want at most max_validators = 3"),
        ("consensus.validators", [], "consensus.validators: found [], want a list of 1 to 256 validators"),
        ("consensus.validators", ..., "consensus.validators: found nothing, want this key"),
        ("consensus.validators.2", 7, "consensus.validators[2]: found 7, want an object"),
        ("consensus.validators.2.public_key", ..., "consensus.validators[2].public_key: found nothing, want this key"),
        ("consensus.validators.2.public_key", "0x00", "consensus.validators[2].public_key: found '0x00', want 32 bytes as 0x and 64 hex digits"),
        ("consensus.validators.2.commitment", "0x" + "g" * 64, "consensus.validators[2].commitment: found '0x" + "g" * 64 + "', want 32 bytes as 0x and 64 hex digits"),
        ("consensus.validators.2.balance_gwei", 1, f"consensus.validators[2].balance_gwei: found 1, want an integer from 32000000000 to {(1 << 64) - 1}"),
        ("consensus.validators.2.name", "x", "consensus.validators[2].name: found an unknown key, want no such key"),
        ("consensus.validators.1.public_key", "0x" + GENESIS.validators[0].public_key.hex(), "consensus.validators[1].public_key: found a key twice, want a key of its own"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(path: str, value: object, message: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse(changed(path, value))
    assert refusal.value.reason is Reason.GENESIS
    assert refusal.value.message == message


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(Rejected, match=r"consensus.slot_millis: found an unknown key, want one of"):
        parse(changed("consensus.slot_millis", 5))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from(["consensus", "config", "timestamp", "consensus.validators", "consensus.validators.0", "consensus.validators.0.public_key", "consensus.freeze_permille"]))  # fmt: skip
def test_no_json_raises_anything_but_a_rejection(value: object, path: str) -> None:
    for found in (value, changed(path, value)):
        try:
            parse(found)
        except Rejected as refusal:
            if refusal.reason is not Reason.GENESIS:
                raise


def test_the_extra_data_commits_to_every_parameter_and_validator() -> None:
    seen = {GENESIS.extra_data}
    parameters = [name for name in genesis_document(GENESIS) if name != "validators"]
    for name in parameters:
        value = getattr(GENESIS.parameters, name)
        seen.add(
            Genesis(
                parameters=Parameters(**{**_values(), name: value + 1}),
                validators=GENESIS.validators,
                chain_id=900,
                time=GENESIS.time,
            ).extra_data
        )
    seen.add(network(5).genesis.extra_data)
    assert len(seen) == len(parameters) + 2


def _values() -> dict[str, int]:
    found = genesis_document(GENESIS)
    return {name: value for name, value in found.items() if isinstance(value, int)}


def test_the_first_state_is_final_and_gives_everybody_weight() -> None:
    genesis_hash = Hash32(b"\x07" * 32)
    state = genesis_state(GENESIS, genesis_hash)
    assert state.finalized == state.justified
    assert state.finalized.block_hash == genesis_hash == state.mix
    assert state.sets[0].weights == 0b1111
    assert [entry.public_key for entry in state.validators] == [
        entry.public_key for entry in GENESIS.validators
    ]
    rules = GENESIS.rules(genesis_hash)
    assert rules.genesis_time == GENESIS.time
    assert rules.parameters.first_proposal_slot == 4
