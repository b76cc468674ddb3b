"""Blocks of a rollup: their headers, what a judge refuses, and transactions that no block holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio

from node.errors import InvalidBlock, MissingState
from node.eth import rlp
from node.eth.headers import EMPTY_REQUESTS_HASH, header_of_block
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    DEPOSITED_TOPIC,
    ETHER,
    HISTORIAN,
    KEEPER,
    PAUPER,
    PORTAL,
    SENDER,
    ExecutionChain,
    genesis_document,
    sign,
    with_header_fields,
    word,
)
from tests.kit.rollup_chain import (
    BASE_FEE,
    BYTES_LIMIT,
    FAUCET,
    GAS_LIMIT,
    MESSAGE_PASSER,
    SEQUENCER_FEE_VAULT,
    RollupChain,
    deposit,
    keep,
    rollup_document,
    sign_l2,
)

SIGNED_ELSEWHERE = sign_l2(nonce=0, chainId=900)


KILLS = 3
"""Processes that are killed while they commit."""

COMMITTER = """
import sys
from pathlib import Path
from tests.kit.execution_chain import word
from tests.kit.rollup_chain import RollupChain, deposit, sign_l2

chain = RollupChain.open(Path(sys.argv[1]))
for nonce in range(2_000):
    minted = deposit(mint=1, source=word(nonce + 1))
    block = chain.grow([sign_l2(nonce=nonce)], deposits=[minted])
    print(nonce, block.state_root.hex(), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A chain, and a valid block on its head with a deposit and two transactions."""

    chain: RollupChain
    block: BlockResult


@pytest.fixture(scope="module")
def judged() -> Judged:
    chain = RollupChain.open()
    chain.grow([sign_l2(nonce=0)])
    store = sign_l2(nonce=1, to=MESSAGE_PASSER, data=word(9) + word(2), gas=100_000)
    return Judged(chain, chain.seal([store, sign_l2(nonce=2)], deposits=[deposit(mint=ETHER)]))


def refusal(judged: Judged, block: bytes) -> InvalidBlock:
    """How a block is refused."""
    with pytest.raises(InvalidBlock) as caught:
        judged.chain.engine.execute(judged.chain.header, block, b"")
    return caught.value


def with_transactions(block: bytes, raws: list[bytes]) -> bytes:
    """A block with other transactions under the same header."""
    items = [block[start:end] for _, start, _, end in rlp.spans(block)]
    items[1] = rlp.encode(raws)
    return rlp.encode_list(items)


def test_header_follows_from_parent_and_contents(judged: Judged) -> None:
    chain, block = judged.chain, judged.block
    header, parent = header_of_block(block.block), header_of_block(chain.head.block)
    attributes = chain.attributes()
    assert header.hash() == block.block_hash
    assert (header.number, header.parent_hash) == (2, chain.head.block_hash)
    assert header.timestamp == parent.timestamp == attributes.timestamp
    assert header.mix_hash == attributes.mix_hash
    assert header.parent_beacon_block_root == attributes.parent_beacon_block_root
    assert header.fee_recipient == SEQUENCER_FEE_VAULT
    assert (header.gas_limit, header.base_fee_per_gas) == (GAS_LIMIT, BASE_FEE)
    assert header.extra_data == bytes.fromhex("00000000fa00000006")
    assert header.requests_hash == EMPTY_REQUESTS_HASH
    assert (header.blob_gas_used, header.excess_blob_gas, header.difficulty) == (0, 0, 0)
    assert block.requests == []
    assert block.senders == [FAUCET, *[bytes.fromhex(SENDER.address[2:])] * 2]


def test_withdrawals_root_is_the_message_passers_storage_root(judged: Judged) -> None:
    chain, block = judged.chain, judged.block
    chain.engine.commit(block)
    for result in (*chain.blocks, block):
        passer = chain.engine.account(result.state_root, MESSAGE_PASSER)
        assert passer is not None
        assert header_of_block(result.block).withdrawals_root == passer.storage_root
    roots = {header_of_block(result.block).withdrawals_root for result in (chain.head, block)}
    assert len(roots) == 2


def test_time_may_stand_still_but_not_go_back(judged: Judged) -> None:
    chain = judged.chain
    early = replace(chain.attributes(), timestamp=chain.attributes().timestamp - 1)
    with pytest.raises(ValueError, match="timestamp: 99 is below 100"):
        chain.engine.derive(chain.header, early, [], [], b"")
    error = refusal(judged, with_header_fields(judged.block.block, timestamp=99))
    assert (error.field, error.want) == ("timestamp", "at least 100")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", 3),
        ("parent_hash", bytes(32)),
        ("ommers_hash", bytes(32)),
        ("fee_recipient", bytes(20)),
        ("state_root", bytes(32)),
        ("transactions_root", bytes(32)),
        ("receipts_root", bytes(32)),
        ("logs_bloom", b"\x01" * 256),
        ("difficulty", 1),
        ("gas_limit", GAS_LIMIT - 1),
        ("gas_used", 21_000),
        ("extra_data", b""),
        ("nonce", b"\x01" * 8),
        ("base_fee_per_gas", BASE_FEE + 1),
        ("withdrawals_root", bytes(32)),
        ("blob_gas_used", 1),
        ("excess_blob_gas", 1),
        ("requests_hash", bytes(32)),
    ],
)
def test_judge_refuses_any_other_header(judged: Judged, field: str, value: object) -> None:
    error = refusal(judged, with_header_fields(judged.block.block, **{field: value}))
    assert error.field == field


def test_judge_takes_mix_hash_and_beacon_root_as_they_are(judged: Judged) -> None:
    """They are L1's, which the one who derives compares; they change what execution sees."""
    moved = with_header_fields(judged.block.block, mix_hash=bytes(32))
    chain = judged.chain
    assert chain.engine.execute(chain.header, moved, b"").block == moved
    error = refusal(
        judged, with_header_fields(judged.block.block, parent_beacon_block_root=bytes(32))
    )
    assert error.field == "state_root"  # the 4788 contract holds another


def test_judge_refuses_what_derivation_would_not_execute(judged: Judged) -> None:
    block = judged.block.block
    first, second, third = judged.chain.engine.raw_transactions(block)
    for raws, words in [
        ([second, first, third], "1: transaction type not supported"),
        ([second, second], "nonce"),
        ([first, b"\x02\xc0"], "1: rlp"),
        ([first, SIGNED_ELSEWHERE], "invalid chain id"),
        ([b"\x7e\xc0", second], "0: deposit:"),
    ]:
        error = refusal(judged, with_transactions(block, raws))
        assert error.field == "transaction"
        assert words in error.got


def refused_raws() -> dict[str, bytes]:
    """Raw transactions that no block holds, by what is wrong with them."""
    good = sign_l2(nonce=0)
    blob = b"\x03" + good[1:]
    return {
        "nothing": b"",
        "undecodable": b"\x02\xc0",
        "chain": SIGNED_ELSEWHERE,
        "signature": good[:-1] + bytes([good[-1] ^ 1]) if good[-1] else good[:-1] + b"\x01",
        "nonce too high": sign_l2(nonce=1),
        "balance": sign_l2(PAUPER, nonce=0),
        "value": sign_l2(nonce=0, value=10**30),
        "fee": sign_l2(nonce=0, maxFeePerGas=BASE_FEE - 1, maxPriorityFeePerGas=0),
        "gas below intrinsic": sign_l2(nonce=0, gas=20_999),
        "gas above the block's": sign_l2(nonce=0, gas=GAS_LIMIT + 1),
        "deposit": deposit(mint=ETHER),
        "unsigned 0x7d": b"\x7d" + good[1:],
        "blob": blob,
        "too long": sign_l2(nonce=0, gas=GAS_LIMIT, data=bytes(BYTES_LIMIT)),
    }


@pytest.mark.parametrize("name", list(refused_raws()))
def test_one_bad_transaction_leaves_a_block_its_deposits_only(name: str) -> None:
    chain = RollupChain.open()
    deposits = [keep(1, 5), deposit(mint=ETHER)]
    bad = refused_raws()[name]
    for raws in ([bad], [sign_l2(nonce=0), bad], [bad, sign_l2(nonce=0)]):
        if name == "nonce too high" and raws[-1] is bad and len(raws) == 2:
            continue  # behind its predecessor it is good
        derived = chain.derive(raws, deposits=deposits, record_witness=True)
        assert not derived.is_full
        assert derived.result.block == chain.seal(deposits=deposits).block
        assert derived.result.witness is not None
        nodes, codes, _ = derived.result.witness
        again = chain.engine.derive_stateless(
            chain.header, chain.attributes(), deposits, raws, nodes, codes
        )
        assert (again.result.block, again.is_full) == (derived.result.block, False)


def test_builder_says_why_it_leaves_a_transaction_out() -> None:
    chain = RollupChain.open()
    reasons = {
        "nothing": "invalid",
        "undecodable": "invalid",
        "chain": "invalid",
        "nonce too high": "nonce_too_high",
        "balance": "balance",
        "value": "balance",
        "fee": "fee",
        "gas below intrinsic": "gas_limit",
        "gas above the block's": "never_fits",
        "deposit": "invalid",
        "unsigned 0x7d": "invalid",
        "blob": "invalid",
        "too long": "never_fits",
    }
    raws = refused_raws()
    builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
    outcomes = builder.push([raws[name] for name in reasons])
    assert {name: it.reason for name, it in zip(reasons, outcomes, strict=True)} == reasons
    assert all(outcome.message for outcome in outcomes)
    assert builder.push([sign_l2(nonce=0)])[0].included
    assert builder.push([sign_l2(nonce=0)])[0].reason == "nonce_too_low"
    assert builder.seal().block == chain.derive([sign_l2(nonce=0)]).result.block


def test_what_is_left_out_leaves_nothing_warm() -> None:
    """A refused transaction's reads must not make the next one's cheaper: it would be built and not derived."""
    chain = RollupChain.open()
    slots = [{"address": "0x" + KEEPER.hex(), "storageKeys": ["0x" + word(1).hex()]}]
    poor = sign_l2(PAUPER, nonce=0, to=KEEPER, accessList=slots, gas=100_000)
    store = sign_l2(nonce=0, to=KEEPER, data=word(1) + word(2), gas=100_000)
    builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
    outcomes = builder.push([poor, store])
    assert [outcome.included for outcome in outcomes] == [False, True]
    assert builder.seal().block == chain.derive([store]).result.block


def test_block_is_full_by_bytes_and_by_gas() -> None:
    chain = RollupChain.open()
    builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
    assert (builder.bytes_left, builder.gas_left) == (BYTES_LIMIT, GAS_LIMIT)
    data = b"\x01" * 10_000
    long = [sign_l2(nonce=nonce, data=data, gas=500_000) for nonce in range(4)]
    outcomes = builder.push(long)
    assert [outcome.reason for outcome in outcomes] == ["", "", "", "block_full"]
    assert builder.bytes_left == BYTES_LIMIT - sum(map(len, long[:3]))
    greedy = sign_l2(nonce=3, gas=GAS_LIMIT)
    assert builder.push([greedy])[0].reason == "block_full"
    assert builder.gas_left < GAS_LIMIT - 63_000
    assert not chain.derive(long).is_full
    assert chain.derive(long[:3]).is_full


def test_blockhash_is_read_from_the_state() -> None:
    chain = RollupChain.open()
    for nonce in range(3):
        chain.grow([sign_l2(nonce=nonce)])
    asked = [
        sign_l2(nonce=3 + place, to=HISTORIAN, data=word(number), gas=100_000)
        for place, number in enumerate((3, 1))
    ]
    for raw, number in zip(asked, (3, 1), strict=True):
        derived = chain.derive([raw], record_witness=True)
        assert derived.is_full
        assert derived.result.witness is not None
        nodes, codes, hashes = derived.result.witness
        assert hashes == []
        again = chain.engine.derive_stateless(
            chain.header, chain.attributes(), [], [raw], nodes, codes
        )
        assert again.result.block_hash == derived.result.block_hash
        chain.commit(derived.result)
        stored = chain.engine.storage(chain.head.state_root, HISTORIAN, bytes(32))
        assert stored == chain.blocks[number].block_hash
    call = {"to": "0x" + HISTORIAN.hex(), "data": "0x" + word(2).hex()}
    answer = chain.engine.call(
        chain.head.state_root, chain.header, b"", json.dumps(call).encode(), gas_cap=10**6
    )
    assert answer.status == "success"


def test_witness_that_lacks_a_node_proves_nothing() -> None:
    chain = RollupChain.open()
    raws, deposits = [sign_l2(nonce=0)], [deposit(mint=1)]
    derived = chain.derive(raws, deposits=deposits, record_witness=True)
    assert derived.result.witness is not None
    nodes, codes, _ = derived.result.witness
    for place in range(len(nodes)):
        rest = [node for index, node in enumerate(nodes) if index != place]
        with pytest.raises(MissingState):
            chain.engine.derive_stateless(
                chain.header, chain.attributes(), deposits, raws, rest, codes
            )
    with pytest.raises(MissingState):
        chain.engine.derive_stateless(chain.header, chain.attributes(), deposits, raws, nodes, [])


def test_sealed_block_is_judged_from_a_witness(judged: Judged) -> None:
    chain, block = judged.chain, judged.block
    recorded = chain.engine.execute(chain.header, block.block, b"", record_witness=True)
    assert recorded.witness is not None
    nodes, codes, _ = recorded.witness
    again = chain.engine.stateless(chain.header, block.block, nodes, codes, [])
    assert again.block_hash == block.block_hash


def test_calls_see_the_rollups_precompiles() -> None:
    """Osaka's price of P256VERIFY; a call pays nothing for L1."""
    chain = RollupChain.open()
    call = {"to": "0x" + (0x100).to_bytes(20).hex(), "data": "0x" + "00" * 160}
    answer = chain.engine.call(
        chain.head.state_root, chain.header, b"", json.dumps(call).encode(), gas_cap=10**6
    )
    assert answer.gas_used == 21_000 + 160 * 4 + 6_900
    transfer = {"from": SENDER.address, "to": "0x" + "22" * 20, "value": "0x1"}
    estimate = chain.engine.estimate_gas(
        chain.head.state_root, chain.header, b"", json.dumps(transfer).encode(), gas_cap=10**6
    )
    assert (estimate.status, estimate.gas_used) == ("success", 21_000)


def test_modexp_costs_what_it_costs_on_osaka() -> None:
    """EIP-7883: three times Berlin's price; EIP-7823: operands of at most 1,024 bytes."""
    chain = RollupChain.open()
    full = word(32) * 3 + b"\xff" * 96
    wide = word(1025) + word(1) + word(1) + bytes(1027)

    def gas(data: bytes) -> tuple[str, int]:
        call = {"to": "0x" + bytes(19).hex() + "05", "data": "0x" + data.hex(), "gas": "0xf4240"}
        answer = chain.engine.call(
            chain.head.state_root, chain.header, b"", json.dumps(call).encode(), gas_cap=10**6
        )
        return answer.status, answer.gas_used

    want = 21_000 + sum(16 if byte else 4 for byte in full) + 16 * 255
    assert gas(full) == ("success", want)
    assert gas(wide)[0] == "halt"
    raw = sign_l2(nonce=0, to=bytes(19) + b"\x05", data=full, gas=100_000)
    assert chain.seal([raw]).gas_used == want


def test_states_outlive_the_engine(tmp_path: Path) -> None:
    chain = RollupChain.open(tmp_path)
    for nonce in range(5):
        chain.grow([sign_l2(nonce=nonce)], deposits=[deposit(mint=nonce + 1, source=word(nonce))])
    chain.engine.close()
    reopened = RollupChain(
        RevmEngine(json.dumps(rollup_document()).encode(), folder=tmp_path), chain.blocks
    )
    assert reopened.balance(FAUCET) == 15
    assert reopened.grow([sign_l2(nonce=5)]).gas_used == 21_000
    reopened.engine.close()


def test_killed_process_loses_nothing_that_it_has_committed(tmp_path: Path) -> None:
    for round_number in range(KILLS):
        folder = tmp_path / str(round_number)
        committer = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert committer.stdout is not None
        roots = [committer.stdout.readline().split()[1] for _ in range(20 + 15 * round_number)]
        committer.kill()
        roots += [line.split()[1] for line in committer.stdout if line.endswith("\n")]
        committer.wait()
        committer.stdout.close()
        engine = RevmEngine(json.dumps(rollup_document()).encode(), folder=folder)
        for root in roots:
            assert engine.has_state(bytes.fromhex(root))
        ((_, minted),) = engine.accounts(bytes.fromhex(roots[-1]), [FAUCET])
        assert minted == len(roots)
        assert engine.walk(bytes.fromhex(roots[-1])) > 0
        engine.close()


def test_pruning_in_between_is_made_good(tmp_path: Path) -> None:
    chain = RollupChain.open(tmp_path)
    chain.grow([sign_l2(nonce=0)])
    pending = chain.derive([sign_l2(nonce=1)], deposits=[deposit(mint=1)])
    chain.engine.prune([chain.head.state_root], 1)
    chain.commit(pending.result)
    assert chain.nonce(bytes.fromhex(SENDER.address[2:])) == 2
    chain.engine.close()


def test_each_layer_refuses_the_others_questions() -> None:
    host = RevmEngine(json.dumps(genesis_document()).encode())
    rollup = RollupChain.open()
    header = rollup.header
    with pytest.raises(ValueError, match="this chain is no rollup"):
        host.derive(header, rollup.attributes(), [], [], b"")
    with pytest.raises(ValueError, match="this chain is no rollup"):
        host.sequence(header, rollup.attributes(), [], b"")
    with pytest.raises(ValueError, match="sequenced or derived"):
        rollup.engine._native.builder(
            header, 200, bytes(20), bytes(32), GAS_LIMIT, bytes(32), [], b""
        )


def test_rollup_object_must_name_its_limits() -> None:
    document = rollup_document()
    rollup = document["rollup"]
    assert isinstance(rollup, dict)
    del rollup["gas_limit"]
    with pytest.raises(ValueError, match="genesis: rollup: missing field `gas_limit`"):
        RevmEngine(json.dumps(document).encode())


def test_hosts_portal_stands_in_its_genesis_file() -> None:
    """The same object on another chain names the portal whose logs become requests."""
    document = genesis_document() | {"rollup": rollup_document()["rollup"]}
    engine = RevmEngine(json.dumps(document).encode())
    chain = ExecutionChain(engine, [engine.genesis()])
    topic, logged = word(7), word(8)
    block = chain.seal([sign(SENDER, nonce=0, to=PORTAL, data=topic + logged, gas=100_000)])
    assert [request[0] for request in block.requests] == [0x7E]
    (log,) = engine.logs(block.receipts, PORTAL, DEPOSITED_TOPIC)
    assert (log.index, log.topics, log.data) == (0, (DEPOSITED_TOPIC,), topic + logged)
    assert engine.logs(block.receipts, PORTAL, topic) == []
    assert engine.logs(block.receipts, KEEPER, DEPOSITED_TOPIC) == []


async def test_two_threads_derive_at_once() -> None:
    chain = RollupChain.open()
    raws = [sign_l2(nonce=nonce) for nonce in range(20)]
    want = chain.derive(raws).result.block_hash
    hashes: list[bytes] = []

    async def derive() -> None:
        derived = await trio.to_thread.run_sync(lambda: chain.derive(raws))
        hashes.append(derived.result.block_hash)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(derive)
    assert hashes == [want] * 4


def test_genesis_follows_the_document() -> None:
    chain = RollupChain.open()
    header = header_of_block(chain.head.block)
    assert (header.number, header.timestamp, header.gas_limit) == (0, 100, GAS_LIMIT)
    assert header.mix_hash == header.parent_beacon_block_root == Hash32(bytes(32))
    assert header.hash() == chain.head.block_hash
    assert header.base_fee_per_gas == BASE_FEE
