"""Genesis files in geth's format: the block they give, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from node.eth import rlp
from node.eth.headers import header_of_block
from node.execution.adapter import RevmEngine
from tests.kit.execution_chain import (
    ETHER,
    GAS_LIMIT,
    KEEPER,
    SENDER,
    ExecutionChain,
    address_of,
    genesis_document,
    word,
)

VECTORS: Final = Path(__file__).parents[4] / "shared" / "vectors" / "execution-apis"


def block_of(**changes: object) -> bytes:
    """The genesis block of the test chain with other top-level keys."""
    document = genesis_document() | changes
    return RevmEngine(json.dumps(document).encode()).genesis().block


@pytest.mark.skipif(
    not VECTORS.exists(), reason="the execution-apis vectors are not beside the repository"
)
def test_the_block_is_geths() -> None:
    """Given geth's genesis file, when read, then its hash is the first block's parent."""
    # Given
    data = rlp.encode_list([(VECTORS / "chain.rlp").read_bytes()])
    (_, start, _, end), *_ = rlp.spans(data)
    header = rlp.as_list(rlp.as_list(rlp.decode(data[start:end]))[0])

    # When
    genesis = RevmEngine((VECTORS / "genesis.json").read_bytes()).genesis()

    # Then
    assert genesis.block_hash == header[0]


def test_every_field_stands_in_the_header() -> None:
    """Given all header fields, when read, then the header holds them, and those of all active forks."""
    header = header_of_block(
        block_of(
            nonce="0x0102030405060708",
            timestamp="0x6553f100",
            extraData="0x" + "ee" * 32,
            gasLimit="0x2faf080",
            mixHash="0x" + "0a" * 32,
            coinbase="0x" + "0c" * 20,
            baseFeePerGas="0x7",
            excessBlobGas="0x20000",
            blobGasUsed="0x0",
        )
    )
    assert header.nonce == bytes(range(1, 9))
    assert header.timestamp == 1_700_000_000
    assert header.extra_data == b"\xee" * 32
    assert header.gas_limit == 50_000_000
    assert header.mix_hash == b"\x0a" * 32
    assert header.fee_recipient == b"\x0c" * 20
    assert header.base_fee_per_gas == 7
    assert header.excess_blob_gas == 131_072


def test_defaults_are_geths() -> None:
    document = genesis_document()
    del document["baseFeePerGas"]
    header = header_of_block(RevmEngine(json.dumps(document).encode()).genesis().block)
    assert (header.number, header.base_fee_per_gas, header.gas_limit) == (0, 10**9, GAS_LIMIT)
    assert header.parent_beacon_block_root == bytes(32)


def test_the_state_is_the_allocation() -> None:
    """Given balances, nonces, codes and storage, when read, then the state holds them."""
    twin = "0x" + "ab" * 20
    chain = ExecutionChain.open(
        extra_accounts={
            twin: {
                "balance": "123",
                "nonce": "0x9",
                "code": "0xfe",
                "storage": {"0x" + word(1).hex(): "0x" + word(255).hex()},
            }
        }
    )
    root, address = chain.head.state_root, bytes.fromhex("ab" * 20)
    account = chain.engine.account(root, address)
    assert account is not None
    assert (account.nonce, account.balance) == (9, 123)
    assert chain.engine.code(root, address) == b"\xfe"
    assert chain.engine.storage(root, address, word(1)) == word(255)
    assert chain.engine.accounts(root, [address_of(SENDER)]) == [(0, 10_000 * ETHER)]
    assert chain.engine.code(root, KEEPER)


def test_the_consensus_object_is_not_the_engines() -> None:
    assert block_of(consensus={"any": ["thing"]}) == block_of(consensus=None)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"gasLimit": "many"}, "genesis: "),
        ({"alloc": {"0x12": {"balance": "0x0"}}}, "genesis: "),
        ({"alloc": {"0x" + "00" * 20: {"balans": "0x0"}}}, "balans"),
    ],
)
def test_a_bad_file_says_what_is_wrong(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block_of(**document)


def test_a_fork_that_is_not_known_is_refused() -> None:
    base = genesis_document()["config"]
    assert isinstance(base, dict)
    with pytest.raises(ValueError, match="amsterdamTime"):
        block_of(config={**base, "amsterdamTime": 0})


def test_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="genesis: "):
        RevmEngine(b"{")
