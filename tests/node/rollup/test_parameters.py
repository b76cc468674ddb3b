"""The object `rollup` of a genesis file is read as written, or refused with the key that is wrong."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth.primitives import Address
from node.rollup.parameters import (
    L2_GENESIS_HASH_KEY,
    RollupParameters,
    parse,
    parse_l2_genesis_hash,
)
from node.rollup.reasons import RollupReason
from tests.kit.rollup import PARAMETERS

NAMES = [entry.name for entry in fields(RollupParameters)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_what_is_written_is_read() -> None:
    assert parse(PARAMETERS.document()) == PARAMETERS


def test_the_defaults_are_those_of_the_dev_profile() -> None:
    document = PARAMETERS.document()
    assert document["inbox"] == "0x4c00000000000000000000000000000000000001"
    assert document["portal"] == "0x4c00000000000000000000000000000000000002"
    assert (document["chain_id"], document["l1_chain_id"]) == (901, 900)
    assert (document["gas_limit"], document["witness_limit_bytes"]) == (7_000_000, 264 * 1024)
    assert (document["batch_limit_bytes"], document["decompressed_limit_bytes"]) == (
        1 << 15,
        1 << 18,
    )
    assert document["transactions_limit_bytes"] == 31 * 1024


def test_only_l1s_genesis_names_that_of_the_l2() -> None:
    named = PARAMETERS.document() | {L2_GENESIS_HASH_KEY: "0x" + "ab" * 32}
    assert parse(named) == PARAMETERS
    assert parse_l2_genesis_hash(named) == b"\xab" * 32
    with pytest.raises(Rejected, match=r"rollup\.l2_genesis_hash: found nothing, want this key"):
        parse_l2_genesis_hash(PARAMETERS.document())


def test_a_block_that_no_batch_could_hold_is_refused() -> None:
    document = PARAMETERS.document() | {"transactions_limit_bytes": 20_000}
    assert parse(document | {"batch_limit_bytes": 20_256}).batch_limit_bytes == 20_256
    with pytest.raises(
        Rejected, match=r"rollup\.batch_limit_bytes: found 20255, want at least 20256"
    ) as refused:
        parse(document | {"batch_limit_bytes": 20_255})
    assert refused.value.reason is RollupReason.PARAMETERS


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_key_is_named(name: str) -> None:
    document = PARAMETERS.document()
    del document[name]
    with pytest.raises(Rejected, match=rf"rollup\.{name}: found nothing, want this key"):
        parse(document)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, True, -1, 1 << 70, 1.5, "0x", "0xzz", "ab" * 20, [], {}])
def test_a_wrong_value_is_named(name: str, value: object) -> None:
    with pytest.raises(Rejected, match=rf"rollup\.{name}: found ") as refusal:
        parse(PARAMETERS.document() | {name: value})
    assert refusal.value.reason is RollupReason.PARAMETERS


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(Rejected, match=r"rollup\.gaslimit: found an unknown key"):
        parse(PARAMETERS.document() | {"gaslimit": 1})


def test_inbox_and_portal_are_two_contracts() -> None:
    with pytest.raises(Rejected, match=r"rollup\.portal: found the inbox's address"):
        parse(replace(PARAMETERS, portal=PARAMETERS.inbox).document())


def test_a_block_has_room_for_every_deposit() -> None:
    with pytest.raises(Rejected, match=r"rollup\.gas_limit: found 3999999"):
        parse(replace(PARAMETERS, gas_limit=3_999_999).document())


@pytest.mark.parametrize(
    "name",
    ["gas_limit", "witness_limit_bytes", "decompressed_limit_bytes", "transactions_limit_bytes"],
)
def test_a_block_that_no_l1_transaction_could_prove_is_not_made_legal(name: str) -> None:
    document = PARAMETERS.document()
    value = document[name]
    assert isinstance(value, int)
    with pytest.raises(Rejected, match=rf"rollup\.{name}: found {value + 1}"):
        parse(document | {name: value + 1})


@given(JSON)
def test_any_document_is_read_or_refused(document: object) -> None:
    with suppress(Rejected):
        parse(document)


@given(st.sampled_from(NAMES), JSON)
def test_any_value_is_read_or_refused(name: str, value: object) -> None:
    with suppress(Rejected):
        document = PARAMETERS.document() | {name: value}
        assert parse(document).document() == document


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_changes_the_config_hash(name: str) -> None:
    document = PARAMETERS.document()
    value = document[name]
    moved = 1 if value == 0 else -1
    document[name] = value + moved if isinstance(value, int) else str(value)[:-2] + "77"
    assert parse(document).config_hash() != PARAMETERS.config_hash()


def test_the_config_hash_is_32_bytes() -> None:
    assert len(PARAMETERS.config_hash()) == 32


def test_two_parameters_that_swap_values_change_the_config_hash() -> None:
    swapped = replace(
        PARAMETERS, inbox=Address(PARAMETERS.portal), portal=Address(PARAMETERS.inbox)
    )
    assert swapped.config_hash() != PARAMETERS.config_hash()
