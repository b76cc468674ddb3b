"""An L1 in memory that answers JSON-RPC as a node does: for tests of what speaks JSON-RPC and nothing else.

    ask("eth_sendRawTransaction", raw) -> pool -> mine() -> a block with all that waits, the highest tip first
    ask("eth_call" | "eth_estimateGas" | "eth_getLogs" ...) -> the engine at the head

A block is final as soon as FINALITY_LAG more have come. Deliberately absent: what no test asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import orjson
from eth_account import Account
from pydantic import JsonValue

from deploy.json_rpc import RpcRefused
from node.eth import rlp
from node.eth.hashing import keccak256
from tests.kit.execution_chain import GAS_LIMIT, ExecutionChain, header_bytes

RAW_BYTES_MAX: Final = 512 << 10
"""Of a transaction."""

GAS_CAP: Final = 60_000_000
"""Of calls."""

FINALITY_LAG: Final = 2
"""Blocks behind the head."""

REVERTED: Final = 3
"""geth's code for a call that reverted with data."""

REFUSED: Final = -32000
"""geth's code for everything else."""


@dataclass(slots=True)
class RpcChain:
    """The chain and its pool."""

    chain: ExecutionChain
    """Grows by a block a `mine`."""
    pool: list[bytes] = field(default_factory=list)
    """Raw transactions that wait."""
    after_block: list[Callable[[], None]] = field(default_factory=list)
    """Called after every block: whoever else sends transactions."""
    _rows: dict[str, JsonValue] = field(default_factory=dict)
    """Receipts by transaction hash."""

    def mine(self) -> None:
        """A block with what waits, as far as its gas goes; a sender's transactions in order of their nonces."""
        waiting = sorted(self.pool, key=lambda raw: (-_tip(raw), _nonce(raw)))
        taken, room = [], GAS_LIMIT
        for raw in _in_order(waiting):
            room -= rlp.as_integer(_fields(raw)[4])
            if room >= 0:
                taken.append(raw)
        self.pool[:] = [raw for raw in self.pool if raw not in taken]
        block = self.chain.grow(taken)
        for row in orjson.loads(self.chain.engine.receipts_json(block.block, block.receipts)):
            self._rows[row["transactionHash"]] = row
        for actor in self.after_block:
            actor()

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        """Call a method. Raises RpcRefused."""
        engine, chain = self.chain.engine, self.chain
        match method:
            case "eth_call":
                return self._simulated("call", parameters[0])
            case "eth_estimateGas":
                return self._simulated("estimate", parameters[0])
            case "eth_sendRawTransaction":
                raw = bytes.fromhex(str(parameters[0])[2:])
                assert len(raw) < RAW_BYTES_MAX
                self.pool.append(raw)
                return "0x" + keccak256(raw).hex()
            case "eth_getTransactionReceipt":
                return self._rows.get(str(parameters[0]))
            case "eth_getBlockByNumber":
                place = self._place(parameters[0])
                block = chain.blocks[place]
                found: JsonValue = orjson.loads(
                    engine.block_json(block.block, block.receipts, full=False)
                )
                return found
            case "debug_getRawHeader":
                return "0x" + _header(chain, self._place(parameters[0])).hex()
            case "eth_getBalance" | "eth_getTransactionCount":
                account = engine.account(chain.head.state_root, _bytes(parameters[0]))
                if method == "eth_getBalance":
                    return hex(0 if account is None else account.balance)
                waiting = sum(_sender_has(raw, str(parameters[0])) for raw in self.pool)
                return hex((0 if account is None else account.nonce) + waiting)
            case "eth_getLogs":
                return self._logs(cast(dict[str, JsonValue], parameters[0]))
            case "eth_getCode":
                return "0x" + engine.code(chain.head.state_root, _bytes(parameters[0])).hex()
            case "txpool_content":
                return self._pool_content()
            case _:
                raise AssertionError(method)

    def _simulated(self, what: str, request: JsonValue) -> JsonValue:
        head, engine = self.chain.head, self.chain.engine
        ask = engine.call if what == "call" else engine.estimate_gas
        arguments = (head.state_root, self.chain.header, self.chain.ancestors)
        result = ask(*arguments, orjson.dumps(request), gas_cap=GAS_CAP)
        if result.status == "revert":
            raise RpcRefused(REVERTED, "execution reverted", "0x" + result.output.hex())
        if result.status == "halt":
            raise RpcRefused(REFUSED, result.output.decode())
        return "0x" + result.output.hex() if what == "call" else hex(result.gas_used)

    def _place(self, tag: JsonValue) -> int:
        head = len(self.chain.blocks) - 1
        match tag:
            case "latest" | "pending":
                return head
            case "finalized" | "safe":
                return max(0, head - FINALITY_LAG)
            case _:
                return int(str(tag), 16)

    def _logs(self, wanted: dict[str, JsonValue]) -> JsonValue:
        first, last = (self._place(wanted[key]) for key in ("fromBlock", "toBlock"))
        blocks = [(block.block, block.receipts) for block in self.chain.blocks[first : last + 1]]
        topics = cast(list[str | None], wanted["topics"])
        found = self.chain.engine.logs_json(
            blocks,
            [_bytes(wanted["address"])],
            [[] if topic is None else [_bytes(topic)] for topic in topics],
        )
        return [orjson.loads(log) for log in found]

    def _pool_content(self) -> JsonValue:
        pending: dict[str, JsonValue] = {}
        for raw in self.pool:
            of_sender = pending.setdefault(_sender(raw), {})
            assert isinstance(of_sender, dict)
            fields = _fields(raw)
            of_sender[str(_nonce(raw))] = {
                "hash": "0x" + keccak256(raw).hex(),
                "from": _sender(raw),
                "to": "0x" + cast(bytes, fields[5]).hex(),
                "input": "0x" + cast(bytes, fields[7]).hex(),
                "maxPriorityFeePerGas": hex(_tip(raw)),
            }
        return {"pending": pending, "queued": {}}


def _in_order(waiting: list[bytes]) -> list[bytes]:
    """By tip, but no transaction before its sender's earlier ones."""
    by_sender: dict[str, list[bytes]] = {}
    for raw in sorted(waiting, key=_nonce):
        by_sender.setdefault(_sender(raw), []).append(raw)
    return [by_sender[_sender(raw)].pop(0) for raw in waiting]


def _fields(raw: bytes) -> list[rlp.Item]:
    assert raw[0] == 2, "EIP-1559 transactions alone"
    return rlp.as_list(rlp.decode(raw[1:]))


def _nonce(raw: bytes) -> int:
    return rlp.as_integer(_fields(raw)[1])


def _tip(raw: bytes) -> int:
    return rlp.as_integer(_fields(raw)[2])


def _sender(raw: bytes) -> str:
    return str(Account.recover_transaction(raw)).lower()


def _sender_has(raw: bytes, address: str) -> bool:
    return _sender(raw) == address.lower()


def _header(chain: ExecutionChain, place: int) -> bytes:
    return header_bytes(chain.blocks[place].block)


def _bytes(value: JsonValue) -> bytes:
    return bytes.fromhex(str(value).removeprefix("0x"))
