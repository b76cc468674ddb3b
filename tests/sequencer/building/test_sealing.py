"""One block from what waits: portions, limits, what is left for the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.execution.engine import BlockResult, L2Attributes, PushOutcome
from node.rollup.derivation import BlockAttributes
from node.rollup.headers import genesis_header
from sequencer.building.sealing import PORTION_FIRST, Portions, Refusal, seal_block
from sequencer.building.waiting import Waiting
from tests.kit.building import PARAMETERS
from tests.kit.fake_engine import FakeResult
from tests.sequencer.building.offers import Offered, account

PARENT = genesis_header(PARAMETERS, 1, ZERO_HASH, ZERO_HASH)
RESULT = FakeResult(
    block=b"", block_hash=b"", state_root=b"", gas_used=0, requests=[], receipts=b"",
    transaction_hashes=[],
)  # fmt: skip


@dataclass
class ScriptedBuilder:
    """A builder with so much witness, of which each transaction takes as much as its value says."""

    witness_left: int
    verdicts: dict[bytes, str]
    weights: dict[bytes, int]
    pushed: list[int] = field(default_factory=list)
    sealed: bool = False
    gas_left: int = 7_000_000
    bytes_left: int = 31_744

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        self.pushed.append(len(transactions))
        return [self._outcome(raw) for raw in transactions]

    def _outcome(self, raw: bytes) -> PushOutcome:
        verdict, weight = self.verdicts.get(raw, ""), self.weights.get(raw, 1_000)
        if not verdict and weight > self.witness_left:
            verdict = "witness_limit"
        if not verdict:
            self.witness_left -= weight
        return PushOutcome(included=not verdict, reason=verdict, message=f"said {verdict}")

    def seal(self) -> BlockResult:
        self.sealed = True
        return RESULT


@dataclass
class ScriptedEngine:
    """Opens one such builder."""

    builder: ScriptedBuilder
    opened: list[tuple[L2Attributes, Sequence[bytes]]] = field(default_factory=list)
    committed: list[BlockResult] = field(default_factory=list)

    def sequence(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        ancestors: bytes,
    ) -> ScriptedBuilder:
        assert parent_header == PARENT.encode()
        self.opened.append((attributes, deposits))
        return self.builder

    def commit(self, result: BlockResult) -> None:
        self.committed.append(result)


def engine_with(witness: int = 240_000, **verdicts: str) -> ScriptedEngine:
    by_raw = {waiting(int(name[1:])).raw: verdict for name, verdict in verdicts.items()}
    return ScriptedEngine(ScriptedBuilder(witness, by_raw, {}))


def waiting(number: int, gas_limit: int = 21_000) -> Waiting:
    one = Offered(account(number // 200 + 1), number, gas_limit=gas_limit)
    return Waiting(
        Hash32(one.hash), Address(one.sender), one.nonce, one.gas_limit, one.max_fee_per_gas,
        0, one.size, one.raw, 0, one, None,
    )  # fmt: skip


def attributes(*deposits: bytes) -> BlockAttributes:
    return BlockAttributes(
        timestamp=5,
        mix_hash=ZERO_HASH,
        parent_beacon_block_root=ZERO_HASH,
        deposits=deposits,
        transactions=(),
    )


def test_everything_that_fits_is_in_the_block_and_its_state_committed() -> None:
    engine = engine_with()
    candidates = [waiting(number) for number in range(3)]
    sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert (sealed.included, sealed.result) == (candidates, RESULT)
    assert (sealed.refused, sealed.early, sealed.later, sealed.limit) == ([], [], [], "")
    assert engine.committed == [RESULT]
    assert engine.opened[0][0].timestamp == 5


def test_each_verdict_has_its_place() -> None:
    engine = engine_with(n1="nonce_too_high", n2="nonce_too_low", n4="never_fits")
    candidates = [waiting(number) for number in range(5)]
    sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert sealed.included == [candidates[0], candidates[3]]
    assert sealed.early == [candidates[1]]
    assert sealed.refused == [
        Refusal(candidates[2], "nonce_too_low", "said nonce_too_low"),
        Refusal(candidates[4], "never_fits", "said never_fits"),
    ]


def test_a_limit_ends_the_block_and_the_rest_is_not_tried() -> None:
    engine = engine_with(witness=10_500)
    candidates = [waiting(number) for number in range(200)]
    sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert sealed.limit == "witness_limit"
    assert sealed.included == candidates[:10]
    assert sealed.later == candidates[10:]
    assert engine.builder.pushed == [PORTION_FIRST]


def test_portions_follow_what_transactions_took_before() -> None:
    """Given blocks whose transactions each take a 40th of the witness, later blocks offer about so many."""
    portions = Portions()
    candidates = [waiting(number) for number in range(200)]
    pushed: list[list[int]] = []
    for _ in range(4):
        engine = engine_with(witness=40_000)
        sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, portions)
        assert len(sealed.included) == 40
        pushed.append(engine.builder.pushed)
    assert sum(pushed[0]) == PORTION_FIRST
    assert all(sum(later) <= 42 for later in pushed[1:])


def test_a_portion_may_use_no_more_gas_than_is_left() -> None:
    engine = engine_with()
    candidates = [waiting(number, 2_000_000) for number in range(7)]
    sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert sealed.included == candidates
    assert engine.builder.pushed == [3, 3, 1]
    engine = engine_with()
    candidates = [waiting(number, 7_000_001) for number in range(2)]
    seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert engine.builder.pushed == [1, 1]


def test_a_block_ends_when_nobody_has_paid_for_as_much_gas_as_it_has() -> None:
    """Given transactions that fit into no block, a block runs as many as its gas is for, and the next the others."""
    engine = engine_with(n0="never_fits", n1="never_fits", n2="never_fits")
    candidates = [waiting(number, 4_000_000) for number in range(4)]
    sealed = seal_block(engine, PARENT.encode(), attributes(), candidates, Portions())
    assert engine.builder.pushed == [1, 1]
    assert [refusal.one for refusal in sealed.refused] == candidates[:2]
    assert (sealed.later, sealed.limit, sealed.result) == (candidates[2:], "wasted_gas", None)


def test_nothing_to_include_and_no_deposits_is_no_block() -> None:
    engine = engine_with(n0="nonce_too_high")
    sealed = seal_block(engine, PARENT.encode(), attributes(), [waiting(0)], Portions())
    assert sealed.result is None
    assert not engine.builder.sealed
    assert engine.committed == []


def test_deposits_make_a_block_without_transactions() -> None:
    engine = engine_with()
    sealed = seal_block(engine, PARENT.encode(), attributes(b"\x7e"), [], Portions())
    assert sealed.result is RESULT
    assert engine.opened[0][1] == (b"\x7e",)


def test_what_does_not_fit_into_an_empty_block_does_not_wait_for_ever() -> None:
    engine = engine_with(witness=10)
    sealed = seal_block(engine, PARENT.encode(), attributes(), [waiting(0), waiting(1)], Portions())
    assert [one.reason for one in sealed.refused] == ["never_fits"]
    assert [one.nonce for one in sealed.later] == [1]
    # Beside deposits it may be their fault: it is the first of the next block.
    beside = engine_with(witness=10)
    sealed = seal_block(beside, PARENT.encode(), attributes(b"\x7e"), [waiting(0)], Portions())
    assert (sealed.refused, [one.nonce for one in sealed.later]) == ([], [0])
