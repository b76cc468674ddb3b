"""`rollup_game`, `rollup_withdrawal` and `rollup_settle`: games and withdrawals, each in one answer.

    hash, index -> BridgeView -> report -> JSON: quantities for numbers and times, null where nobody knows

Deliberately absent: finding anything out (bridge.withdrawals).
"""

from __future__ import annotations

from typing import Final

from node.rpc import parameters
from node.rpc.bridging import (
    BlockReport,
    BridgeView,
    GameReport,
    ProofReport,
    SettlementReport,
    WaitReport,
    WithdrawalReport,
)
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import Params

NOT_HERE: Final = "this process follows no games: ask the bridge or the watchtower"
"""What a sequencer or plain replica says."""


class BridgingNamespace:
    """Tells of games and withdrawals."""

    def __init__(self, view: BridgeView | None) -> None:
        """Without a view every method says who answers it."""
        self._view: Final = view

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "rollup_game": Method(self.game, 1),
            "rollup_withdrawal": Method(self.withdrawal, 2),
            "rollup_settle": Method(self.settle, 1),
        }

    async def game(self, params: Params, _: Caller) -> object:
        """A game by its place in the factory, a quantity or a JSON integer; null where there is none."""
        index = parameters.integer(params, 0, "uint64", parameters.UINT64_MAX)
        found = await self._bridge().game(index)
        return None if found is None else _game(found)

    async def withdrawal(self, params: Params, _: Caller) -> object:
        """Where a withdrawal stands, what it waits for and until when; null if L2 holds none of this hash.

        A second argument names the account that is to prove and finalize it.
        """
        name = parameters.hash32(params, 0)
        is_named = parameters.optional(params, 1) is not None
        submitter = parameters.address(params, 1) if is_named else None
        found = await self._bridge().withdrawal(name, submitter)
        return None if found is None else _withdrawal(found)

    async def settle(self, params: Params, _: Caller) -> object:
        """Ask the relayer to prove and finalize a withdrawal; true once it has written that down."""
        name = parameters.hash32(params, 0)
        refusal = await self._bridge().settle(name)
        if refusal is not None:
            raise RpcError(SERVER_ERROR, refusal)
        return True

    def _bridge(self) -> BridgeView:
        if self._view is None:
            raise RpcError(SERVER_ERROR, NOT_HERE)
        return self._view


def _withdrawal(report: WithdrawalReport) -> dict[str, object]:
    return {
        "withdrawalHash": _hex(report.withdrawal_hash),
        "state": report.state,
        "paused": report.is_paused,
        "waitsFor": [_wait(wait) for wait in report.waits],
        "expectedAt": _maybe(report.expected_at),
        "game": None if report.game is None else _game(report.game),
        "proof": None if report.proof is None else _proof(report.proof),
        "fallen": [_proof(proof) for proof in report.fallen],
        "settlement": None if report.settlement is None else _settlement(report.settlement),
        "relayed": report.is_relayed,
        "l2": {
            "blockNumber": hex(report.l2_block),
            "blockHash": _hex(report.l2_block_hash),
            "transactionHash": _hex(report.l2_transaction_hash),
            "status": report.l2_status,
        },
        "message": {
            "nonce": hex(report.nonce),
            "sender": _hex(report.sender),
            "target": _hex(report.target),
            "value": hex(report.value),
            "gasLimit": hex(report.gas_limit),
            "data": _hex(report.data),
        },
        "l1": _block(report.at),
    }


def _game(report: GameReport) -> dict[str, object]:
    return {
        "index": hex(report.index),
        "address": _hex(report.address),
        "status": report.status,
        "proper": report.is_proper,
        "l2BlockNumber": hex(report.l2_block),
        "rootClaim": _hex(report.root_claim),
        "ownRoot": None if report.own_root is None else _hex(report.own_root),
        "createdBlock": hex(report.created_block),
        "createdAt": hex(report.created_at),
        "resolvedBlock": hex(report.resolved_block) if report.resolved_block else None,
        "waitsFor": [_wait(wait) for wait in report.waits],
        "l1": _block(report.at),
    }


def _proof(report: ProofReport) -> dict[str, object]:
    return {
        "submitter": _hex(report.submitter),
        "provenAt": hex(report.proven_at),
        "final": report.is_final,
        "gameIndex": hex(report.game_index),
        "game": _hex(report.game_address),
    }


def _settlement(report: SettlementReport) -> dict[str, object]:
    return {
        "transactionHash": _hex(report.transaction_hash),
        "blockNumber": hex(report.block_number),
        "succeeded": report.succeeded,
    }


def _wait(report: WaitReport) -> dict[str, object]:
    return {
        "for": report.need,
        "block": _maybe(report.block),
        "timestamp": _maybe(report.timestamp),
        "expectedAt": _maybe(report.expected_at),
    }


def _block(report: BlockReport) -> dict[str, object]:
    return {
        "number": hex(report.number),
        "hash": _hex(report.hash),
        "timestamp": hex(report.timestamp),
    }


def _maybe(value: int | None) -> str | None:
    return None if value is None else hex(value)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
