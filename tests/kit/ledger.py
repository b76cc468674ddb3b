"""An L1 for senders: a tree of blocks around one contract that does each thing once.

    Ledger.mine(raws) -> block -> head        adopt(block) -> a reorganisation        finalize(number)

The contract takes the word of a thing, and the words of what has to be done before it; it reverts where a thing is done
already or comes too early, and a revert costs the nonce. `asleep` reverts everything, whoever looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.sending.planning import Outcome
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address, Hash32
from node.execution.answers import CallResult
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref
from tests.kit.model_l1 import SignedCall, decode_call

CONTRACT: Final = Address(b"\x0c" * 20)
"""Does each thing once."""

GAS_USED: Final = 50_000
"""Of every call."""


def thing(name: str, *after: str) -> bytes:
    """Call data that does a thing, after others."""
    return b"".join(keccak256(one.encode()) for one in (name, *after))


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerBlock:
    """A block and the state after it."""

    ref: L1Ref
    header: Header
    parent: LedgerBlock | None
    nonces: Mapping[Address, int]
    done: frozenset[bytes]
    outcomes: Mapping[Hash32, Outcome]
    """Of this block's transactions."""
    calls: Sequence[SignedCall]


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What a sender asks of a block."""

    block: LedgerBlock
    asleep: bool

    @property
    def ref(self) -> L1Ref:
        return self.block.ref

    @property
    def header(self) -> Header:
        return self.block.header

    def nonce(self, address: Address) -> int:
        return self.block.nonces.get(address, 0)

    def balance(self, address: Address) -> int:
        return 10**18 if address else 0

    def run(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address = ZERO_ADDRESS,
        value_wei: int = 0,
        gas: int = 0,
    ) -> CallResult:
        if self.asleep or not is_possible(self.block.done, data):
            return CallResult("revert", b"no", GAS_USED)
        return CallResult("success", b"", GAS_USED)


def is_possible(done: frozenset[bytes], data: bytes) -> bool:
    """Whether the contract does it."""
    words = [data[place : place + 32] for place in range(0, len(data), 32)]
    return words[0] not in done and all(word in done for word in words[1:])


@dataclass(slots=True)
class Ledger:
    """The tree, and what of it is canonical."""

    base_fee_wei: int = 1_000
    """Of every block from now on."""
    asleep: bool = False
    """Whether simulations fail."""
    reverting: bool = False
    """Whether transactions revert."""
    canonical: list[LedgerBlock] = field(default_factory=list)
    final_number: int = 0
    moved: Latest[L1Ref] = field(init=False)
    _salt: int = 0

    def __post_init__(self) -> None:
        self.canonical.append(self._make(None, ()))
        self.moved = Latest(self.tip_block.ref)

    # -- what happens

    def mine(self, raws: Iterable[bytes] = ()) -> LedgerBlock:
        """A block on the head becomes the head."""
        return self.adopt(self._make(self.tip_block, raws))

    def on(self, parent: LedgerBlock, raws: Iterable[bytes] = ()) -> LedgerBlock:
        """A block on any other, not adopted."""
        return self._make(parent, raws)

    def adopt(self, block: LedgerBlock) -> LedgerBlock:
        """Make any block the head."""
        path = [block]
        while path[-1].parent is not None:
            path.append(path[-1].parent)
        assert path[-1 - self.final_number] is self.canonical[self.final_number], "final"
        self.canonical = path[::-1]
        self.moved.set(block.ref)
        return block

    def finalize(self, number: int) -> None:
        """Make a canonical block final."""
        self.final_number = number
        self.moved.set(self.tip_block.ref)

    # -- what is asked

    @property
    def tip_block(self) -> LedgerBlock:
        return self.canonical[-1]

    @property
    def head(self) -> L1Ref:
        return self.tip_block.ref

    def is_canonical(self, block: L1Ref) -> bool:
        return block.number < len(self.canonical) and self.canonical[block.number].ref == block

    def upcoming(self) -> LedgerState:
        return LedgerState(self.tip_block, self.asleep)

    def finalized(self) -> LedgerState:
        return LedgerState(self.canonical[self.final_number], self.asleep)

    def outcome(self, transaction_hash: Hash32) -> Outcome | None:
        for block in self.canonical:
            if transaction_hash in block.outcomes:
                return block.outcomes[transaction_hash]
        return None

    def costs(self) -> tuple[int, int]:
        """Transactions on the chain, and how many of them reverted."""
        found = [one for block in self.canonical for one in block.outcomes.values()]
        return len(found), sum(not one.succeeded for one in found)

    def _make(self, parent: LedgerBlock | None, raws: Iterable[bytes]) -> LedgerBlock:
        self._salt += 1
        number = 0 if parent is None else parent.ref.number + 1
        nonces = {} if parent is None else dict(parent.nonces)
        done: frozenset[bytes] = frozenset() if parent is None else parent.done
        outcomes: dict[Hash32, Outcome] = {}
        calls: list[SignedCall] = []
        for raw in raws:
            call = decode_call(raw)
            pays = call.max_fee_per_gas >= self.base_fee_wei
            if call.nonce != nonces.get(call.sender, 0) or not pays:
                continue
            nonces[call.sender] = call.nonce + 1
            calls.append(call)
            is_empty = call.to == call.sender
            succeeded = is_empty or (not self.reverting and is_possible(done, call.data))
            if succeeded and not is_empty:
                done |= {call.data[:32]}
            outcomes[call.hash] = Outcome(number=number, succeeded=succeeded)
        header = Header(
            parent_hash=ZERO_HASH if parent is None else parent.ref.hash,
            fee_recipient=ZERO_ADDRESS,
            state_root=keccak256(self._salt.to_bytes(8)),
            number=number,
            gas_limit=120_000_000,
            gas_used=60_000_000,
            timestamp=1_700_000_000 + 2 * number,
            extra_data=b"",
            mix_hash=ZERO_HASH,
            base_fee_per_gas=self.base_fee_wei,
            parent_beacon_block_root=ZERO_HASH,
        )
        return LedgerBlock(
            ref=L1Ref(number=number, hash=header.hash()),
            header=header,
            parent=parent,
            nonces=nonces,
            done=done,
            outcomes=outcomes,
            calls=calls,
        )
