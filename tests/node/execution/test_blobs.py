"""Blob transactions in blocks, the schedule's fees, and KZG."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from node.errors import InvalidBlock
from node.eth import rlp
from node.eth.blobs import BLOB_BYTES, CELLS, Blob, versioned_hash
from node.eth.fees import GAS_PER_BLOB, blob_base_fee, fake_exponential
from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.execution.adapter import commit_blob
from node.execution.engine import InvalidTransaction
from tests.kit.blobs import INFINITY, damaged, empty_blob, make_blob, sign_blobs
from tests.kit.execution_chain import ETHER, ExecutionChain, with_header_fields, word
from tests.kit.questions import Asked
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


def test_any_blob_is_checked_whole(chain: ExecutionChain) -> None:
    """Given a blob of random numbers and all its proofs by c-kzg, when one number or one proof is another's, then it is seen."""
    dice = Random(7594)
    elements = [dice.randrange(MODULUS) for _ in range(4_096)]
    elements[5], elements[6] = 0, MODULUS - 1
    data = b"".join(word(element) for element in elements)
    found = commit_blob(data)
    assert found is not None
    commitment, proofs = found
    spoilt = []
    for place in (0, 1, 2_047, 2_048, 4_095, dice.randrange(4_096)):
        changed = word((elements[place] + 1) % MODULUS)
        spoilt.append((data[: 32 * place] + changed + data[32 * place + 32 :], commitment, proofs))
    for place in (0, 1, 63, 64, 127, dice.randrange(128)):
        other = INFINITY if place % 2 else make_blob(1).commitment
        wrong = proofs[: 48 * place] + other + proofs[48 * place + 48 :]
        spoilt.append((data, commitment, wrong))
    # Points in another form, off the curve, on it and in another group; a number that is too large
    for point in (
        b"\xe0" + bytes(47),
        b"\xc0" + bytes(46) + b"\x01",
        b"\x80" + bytes(47),
        b"\x80" + bytes(46) + b"\x04",
        bytes([commitment[0] & 0x7F]) + commitment[1:],
        b"\x9a" + b"\xff" * 47,
    ):
        spoilt.append((data, point, proofs))
        spoilt.append((data, commitment, proofs[:-48] + point))
    spoilt.append((data[: 32 * 6] + word(MODULUS) + data[32 * 7 :], commitment, proofs))
    assert chain.engine.verify_blobs([(data, commitment, proofs)]) == [True]
    assert not any(chain.engine.verify_blobs(spoilt))


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


def with_one_transaction(block: bytes, raw: bytes, **fields: int) -> bytes:
    """A block that holds this transaction only, its header's root of transactions included."""
    root = keccak256(rlp.encode([b"\x20\x80", raw]))
    items = list(rlp.as_list(rlp.decode(block)))
    items[1] = [raw]
    changed = with_header_fields(block, transactions_root=root, **fields)
    return rlp.encode([rlp.as_list(rlp.decode(changed))[0], *items[1:]])


def test_nobody_waits_for_other_blobs_than_a_block_may_hold(chain: ExecutionChain) -> None:
    """Given bodies that fit their headers, when one names more blobs than fit, others than the header, or none there can be, then it is refused."""
    sealed = chain.seal([sign_blobs(ROLE, [empty_blob()], nonce=0)]).block

    def named(names: list[bytes], gas: int) -> bytes:
        unsigned = sign_blobs(ROLE, [empty_blob()], nonce=0)
        fields = rlp.as_list(rlp.decode(unsigned[1:]))
        raw = b"\x03" + rlp.encode([*fields[:10], names, *fields[11:]])
        return with_one_transaction(sealed, raw, blob_gas_used=gas)

    name = bytes(empty_blob().versioned_hash)
    [found] = chain.engine.blob_transactions(named([name] * 21, 21 * GAS_PER_BLOB))
    assert found.blob_hashes == (name,) * 21
    for names, gas in (
        ([name] * 22, 22 * GAS_PER_BLOB),
        ([name] * 4_000, 4_000 * GAS_PER_BLOB),
        ([name] * 2, GAS_PER_BLOB),
        ([name], 2 * GAS_PER_BLOB),
        ([name], GAS_PER_BLOB + 1),
        ([], GAS_PER_BLOB),
        ([b"\x02" + name[1:]], GAS_PER_BLOB),
    ):
        with pytest.raises(InvalidBlock):
            chain.engine.blob_transactions(named(names, gas))


POINT_EVALUATION = "0x000000000000000000000000000000000000000a"

MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Of the scalar field of BLS12-381."""

COMMITMENT = bytes.fromhex(
    "8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7"
)
POINT = MODULUS - 1
VALUE = 0x1522A4A7F34E1EA350AE07C29C96C7E79655AA926122E95FE69FCBD932CA49E9
PROOF = bytes.fromhex(
    "a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c"
)
"""With COMMITMENT, POINT and VALUE: a case of c-kzg-4844's `verify_kzg_proof` on mainnet's setup."""


def evaluation(commitment: bytes, point: int, value: int, proof: bytes) -> bytes:
    """The precompile's input (EIP-4844)."""
    return versioned_hash(commitment) + word(point) + word(value) + commitment + proof


def test_the_precompile_evaluates_polynomials(chain: ExecutionChain) -> None:
    """Given proofs that hold and such as do not, then 0x0A says so, without a trusted setup."""
    ask = Asked(chain)

    def answer(data: bytes) -> tuple[str, bytes]:
        call = {"to": POINT_EVALUATION, "data": "0x" + data.hex(), "gas": hex(200_000)}
        found = ask.call(call)
        return found.status, found.output

    told = "success", word(4_096) + word(MODULUS)
    assert answer(evaluation(COMMITMENT, POINT, VALUE, PROOF)) == told
    assert answer(evaluation(INFINITY, 5, 0, INFINITY)) == told
    wrong = [
        evaluation(COMMITMENT, POINT, VALUE - 1, PROOF),
        evaluation(COMMITMENT, POINT - 1, VALUE, PROOF),
        evaluation(COMMITMENT, POINT + MODULUS, VALUE, PROOF),
        evaluation(COMMITMENT, POINT, VALUE + MODULUS, PROOF),
        evaluation(COMMITMENT, POINT, VALUE, INFINITY),
        evaluation(PROOF, POINT, VALUE, COMMITMENT),
        evaluation(INFINITY, 5, 1, INFINITY),
        evaluation(COMMITMENT[:-1] + b"\x00", POINT, VALUE, PROOF),
        evaluation(b"\x80" + bytes(47), POINT, VALUE, PROOF),
        b"\x02" + evaluation(COMMITMENT, POINT, VALUE, PROOF)[1:],
        evaluation(COMMITMENT, POINT, VALUE, PROOF)[:-1],
        b"",
    ]
    assert {answer(data)[0] for data in wrong} == {"halt"}


def test_the_precompile_costs_no_memory() -> None:
    """Given a new process, when it evaluates a point, then it has not loaded a trusted setup: that one's tables take 96 MiB."""
    data = evaluation(COMMITMENT, POINT, VALUE, PROOF).hex()
    script = f"""
import resource
from tests.kit.execution_chain import ExecutionChain
from tests.kit.questions import Asked
ask = Asked(ExecutionChain.open())
call = {{"to": "{POINT_EVALUATION}", "data": "0x{data}", "gas": "0x30d40"}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert ask.call(call).status == "success"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1_024
    assert int(done.stdout) * unit < 4 * 1024 * 1024


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
