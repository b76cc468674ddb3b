"""L1 after one of its blocks, asked through the process's own engine: what games, withdrawals and roles read.

    node.chain.Chain -> L1States.head() | finalized() | at(block) -> L1State -> call(contract, data) -> what it answers

A state never changes, so answers taken from one belong together, however L1 moves meanwhile.
Everything is synchronous: whoever asks much does it in a Worker.
Deliberately absent: what answers mean (games, withdrawals), and anybody else's RPC.
"""

from __future__ import annotations

from typing import Final, Protocol

import orjson

from node.errors import MissingState
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, Address, Hash32
from node.execution.answers import Account, CallResult
from sequencer.l1.places import L1Ref
from sequencer.l1.view import reference

CALL_GAS: Final = 1 << 24
"""Gas of a call: what a transaction may use (EIP-7825)."""


class CallReverted(Exception):
    """A call that did not succeed."""

    def __init__(self, status: str, data: bytes) -> None:
        super().__init__(f"{status}: 0x{data.hex()}" if status == "revert" else data.decode())
        self.status: Final = status
        """revert or halt."""
        self.data: Final = data
        """Revert data; words for a halt."""


class CalledEngine(Protocol):
    """What of L1's engine is asked."""

    def call(
        self, root: bytes, header: bytes, ancestors: bytes, call: bytes, *, gas_cap: int
    ) -> CallResult:
        """`eth_call`."""

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account of a state."""

    def code(self, root: bytes, address: bytes) -> bytes:
        """An account's code."""


class CalledChain(Protocol):
    """What of L1's chain is asked."""

    @property
    def head(self) -> Block:
        """The fork choice's answer."""

    @property
    def finalized(self) -> Block:
        """The final block."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""

    def next_header(self) -> Header:
        """The header of an empty block of the next slot on the head."""


class L1State:
    """L1 after one block, in the environment of a header: that block's own, or the next slot's."""

    def __init__(
        self, engine: CalledEngine, block: Block, environment: Header, ancestors: bytes
    ) -> None:
        self.ref: Final[L1Ref] = reference(block)
        """The block."""
        self.header: Final = block.header
        """Its header."""
        self._engine = engine
        self._environment = environment.encode()
        self._ancestors = ancestors

    def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address = ZERO_ADDRESS,
        value_wei: int = 0,
        gas: int = CALL_GAS,
    ) -> bytes:
        """What a contract answers. Raises CallReverted, MissingState."""
        answer = self.run(to, data, sender=sender, value_wei=value_wei, gas=gas)
        if answer.status != "success":
            raise CallReverted(answer.status, answer.output)
        return answer.output

    def run(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address = ZERO_ADDRESS,
        value_wei: int = 0,
        gas: int = CALL_GAS,
    ) -> CallResult:
        """How a call ends. Raises MissingState, InvalidCall."""
        request = {
            "from": "0x" + sender.hex(),
            "to": "0x" + to.hex(),
            "input": "0x" + data.hex(),
            "value": hex(value_wei),
            "gas": hex(gas),
        }
        return self._engine.call(
            self.header.state_root,
            self._environment,
            self._ancestors,
            orjson.dumps(request),
            gas_cap=gas,
        )

    def nonce(self, address: Address) -> int:
        """An account's next nonce. Raises MissingState."""
        account = self._engine.account(self.header.state_root, address)
        return 0 if account is None else account.nonce

    def balance(self, address: Address) -> int:
        """Wei. Raises MissingState."""
        account = self._engine.account(self.header.state_root, address)
        return 0 if account is None else account.balance

    def code(self, address: Address) -> bytes:
        """An account's code; empty without one. Raises MissingState."""
        return self._engine.code(self.header.state_root, address)


class L1States:
    """States of one process's L1."""

    def __init__(self, chain: CalledChain, engine: CalledEngine) -> None:
        self._chain = chain
        self._engine = engine

    def head(self) -> L1State:
        """After the head."""
        return self._state(self._chain.head)

    def finalized(self) -> L1State:
        """After the final block."""
        return self._state(self._chain.finalized)

    def at(self, ref: L1Ref) -> L1State:
        """After any kept block. Raises MissingState for one that is not kept."""
        block = self._chain.block_by_hash(ref.hash)
        if block is None:
            raise MissingState(f"L1 block {ref.number} is not kept")
        return self._state(block)

    def upcoming(self) -> L1State:
        """After the head, in the environment of the next slot: where a transaction that is sent now will run."""
        head = self._chain.head
        ancestors = head.hash + self._chain.ancestors(head.hash)
        return L1State(self._engine, head, self._chain.next_header(), ancestors[: 256 * 32])

    def _state(self, block: Block) -> L1State:
        return L1State(self._engine, block, block.header, self._chain.ancestors(block.hash))
