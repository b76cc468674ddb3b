"""Blob transactions in blocks, the schedule's fees, and KZG."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import InvalidBlock
from node.eth import rlp
from node.eth.blobs import BLOB_BYTES, CELLS, Blob
from node.eth.fees import GAS_PER_BLOB, blob_base_fee, fake_exponential
from node.eth.headers import header_of_block
from node.execution.engine import InvalidTransaction
from tests.kit.blobs import INFINITY, damaged, empty_blob, make_blob, sign_blobs
from tests.kit.execution_chain import ETHER, ExecutionChain
from tests.kit.transfers import sender

ROLE = sender("blob sender")
RICH = {"0x" + ROLE.address.hex(): {"balance": hex(100_000 * ETHER)}}


@pytest.fixture
def chain() -> ExecutionChain:
    """A chain on which somebody can pay for blobs."""
    return ExecutionChain.open(extra_accounts=RICH)


def item(blob: Blob) -> tuple[bytes, bytes, bytes]:
    """As the engine takes it."""
    return blob.data, blob.commitment, blob.proofs


def test_blobs_hold_together_or_not(chain: ExecutionChain) -> None:
    """Given blobs of which some are wrong in one respect, when verified in one call, then each has its own verdict."""
    good, other = make_blob(1), make_blob(2)
    wrong = [
        replace(good, data=other.data),
        replace(good, commitment=other.commitment),
        replace(good, proofs=other.proofs),
        damaged(good),
        replace(good, proofs=good.proofs[:-48]),
        replace(good, data=good.data[:-1]),
        replace(good, data=b"\xff" * BLOB_BYTES),
        replace(good, commitment=b"\x01" * 48),
    ]
    items = [item(one) for one in (good, *wrong, other, empty_blob())]
    assert chain.engine.verify_blobs(items) == [True, *[False] * len(wrong), True, True]


def test_whole_proofs_become_those_of_cells(chain: ExecutionChain) -> None:
    zeros = empty_blob()
    found = chain.engine.prove_blobs(
        [(zeros.data, INFINITY, INFINITY), (zeros.data, INFINITY, make_blob(1).commitment)]
    )
    assert found == [INFINITY * CELLS, None]


def test_a_transaction_tells_its_blobs(chain: ExecutionChain) -> None:
    blobs = [empty_blob(), make_blob(1)]
    [decoded] = chain.engine.decode([sign_blobs(ROLE, blobs, nonce=0, max_fee_per_blob_gas=7)])
    assert not isinstance(decoded, InvalidTransaction)
    assert decoded.kind == 3
    assert decoded.max_fee_per_blob_gas == 7
    assert decoded.blob_hashes == [one.versioned_hash for one in blobs]


def test_a_block_takes_as_many_blobs_as_the_schedule_says(chain: ExecutionChain) -> None:
    """Given transactions of six blobs, when a block is built, then the one beyond the 21st blob waits; a smaller one fits."""
    # Given
    six, three = [empty_blob()] * 6, [empty_blob()] * 3
    raws = [sign_blobs(ROLE, six, nonce=nonce) for nonce in range(3)]
    # When
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    assert (builder.blobs_left, builder.blob_base_fee) == (21, 1)
    assert all(one.included for one in builder.push(raws))
    [late, fits] = builder.push([sign_blobs(ROLE, six, nonce=3), sign_blobs(ROLE, three, nonce=3)])
    # Then
    assert (late.reason, late.message) == ("block_full", "6 blobs, 3 are left")
    assert fits.included
    assert builder.blobs_left == 0
    result = builder.seal(b"")
    header = header_of_block(result.block)
    assert header.blob_gas_used == 21 * GAS_PER_BLOB
    found = chain.engine.blob_transactions(result.block)
    assert [one.index for one in found] == [0, 1, 2, 3]
    assert [one.hash for one in found] == result.transaction_hashes
    assert found[3].blob_hashes == tuple(one.versioned_hash for one in three)
    # And the block is valid to others
    assert chain.engine.execute(chain.header, result.block, chain.ancestors).block_hash == (
        result.block_hash
    )


def test_the_price_moves_by_the_schedule_above_the_floor(chain: ExecutionChain) -> None:
    """Given full blocks, then excess blob gas and its price follow EIP-4844, 7892 and 7918."""
    excess = 0
    for number in range(12):
        raws = [
            sign_blobs(ROLE, [empty_blob()] * count, nonce=4 * number + place)
            for place, count in enumerate((6, 6, 6, 3))
        ]
        builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
        price = builder.blob_base_fee
        assert price == blob_base_fee(excess)
        assert all(one.included for one in builder.push(raws))
        parent = builder.seal(b"")
        chain.engine.commit(parent)
        chain.blocks.append(parent)
        header = header_of_block(parent.block)
        assert header.excess_blob_gas == excess
        # EIP-7918: while a blob costs less than 2^13 gas would, the target is not taken off.
        is_cheap = (1 << 13) * header.base_fee_per_gas > GAS_PER_BLOB * price
        used = header.blob_gas_used
        excess = excess + used * (21 - 14) // 21 if is_cheap else excess + used - 14 * GAS_PER_BLOB
    assert excess > 0
    assert fake_exponential(1, excess, 11_684_671) == blob_base_fee(excess)


def test_too_many_or_too_cheap_blobs_are_left_out(chain: ExecutionChain) -> None:
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    [seven, cheap, none] = builder.push(
        [
            sign_blobs(ROLE, [empty_blob()] * 7, nonce=0),
            sign_blobs(ROLE, [empty_blob()], nonce=0, max_fee_per_blob_gas=0),
            sign_blobs(ROLE, [], nonce=0),
        ]
    )
    assert [seven.reason, cheap.reason, none.reason] == ["invalid", "fee", "invalid"]


def test_a_tampered_body_names_no_blobs(chain: ExecutionChain) -> None:
    """Given a block whose transactions are not its header's, then nobody waits for their blobs."""
    result = chain.seal([sign_blobs(ROLE, [empty_blob()], nonce=0)])
    header, transactions, ommers, withdrawals = rlp.as_list(rlp.decode(result.block))
    other = sign_blobs(ROLE, [make_blob(1)], nonce=0)
    bodies: tuple[list[rlp.Encodable], ...] = (
        [header, [other], ommers, withdrawals],
        [header, transactions, [header], withdrawals],
        [header, transactions, ommers, [[b"\x01", b"\x01", b"\x01" * 20, b"\x01"]]],
    )
    for tampered in bodies:
        with pytest.raises(InvalidBlock):
            chain.engine.blob_transactions(rlp.encode(tampered))


def test_a_blob_transaction_pays_for_gas_and_for_blobs(chain: ExecutionChain) -> None:
    before = chain.engine.account(chain.head.state_root, ROLE.address)
    result = chain.seal([sign_blobs(ROLE, [empty_blob()] * 2, nonce=0, value=5)])
    chain.engine.commit(result)
    after = chain.engine.account(result.state_root, ROLE.address)
    assert before is not None
    assert after is not None
    header = header_of_block(result.block)
    gas = 21_000 * (header.base_fee_per_gas + 10**9)
    assert before.balance - after.balance == 5 + gas + 2 * GAS_PER_BLOB
