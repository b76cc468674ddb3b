"""`eth`: logs, filters and subscriptions.

eth_getLogs, eth_newFilter, eth_newBlockFilter, eth_newPendingTransactionFilter, eth_getFilterChanges, eth_getFilterLogs,
eth_uninstallFilter, eth_subscribe, eth_unsubscribe
"""

from __future__ import annotations

from typing import Final

import orjson

from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method, Session
from node.rpc.filters import FilterKind, Filters
from node.rpc.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR, RpcError
from node.rpc.logs import Criteria, LogSearch, check_followed, range_of, read_criteria
from node.rpc.parameters import BlockHash, Params
from node.rpc.subscriptions import Hub, Subscription, Topic, Wanted

HASHES_MAX: Final = 200
"""Transactions of one subscription to receipts: geth's limit."""


class LogsNamespace:
    """Finds logs now and tells of those to come."""

    def __init__(self, blocks: Blocks, search: LogSearch, filters: Filters, hub: Hub) -> None:
        self._blocks: Final = blocks
        self._search: Final = search
        self._filters: Final = filters
        self._hub: Final = hub

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_getLogs": Method(self.get_logs, 1),
            "eth_newFilter": Method(self.new_filter, 1),
            "eth_newBlockFilter": Method(self.new_block_filter, 0),
            "eth_newPendingTransactionFilter": Method(self.new_transaction_filter, 1),
            "eth_getFilterChanges": Method(self.get_filter_changes, 1),
            "eth_getFilterLogs": Method(self.get_filter_logs, 1),
            "eth_uninstallFilter": Method(self.uninstall_filter, 1),
            "eth_subscribe": Method(self.subscribe, 3),
            "eth_unsubscribe": Method(self.unsubscribe, 1),
        }

    def get_logs(self, params: Params, _: Caller) -> object:
        """Logs that match."""
        return self._find(read_criteria(params, 0))

    def new_filter(self, params: Params, _: Caller) -> str:
        """Collect logs from now on."""
        criteria = read_criteria(params, 0)
        check_followed(criteria)
        return self._filters.install(FilterKind.LOGS, criteria=criteria)

    def new_block_filter(self, _: Params, __: Caller) -> str:
        """Collect hashes of new blocks from now on."""
        return self._filters.install(FilterKind.BLOCKS)

    def new_transaction_filter(self, params: Params, _: Caller) -> str:
        """Collect waiting transactions from now on."""
        full = parameters.boolean(params, 0, default=False)
        return self._filters.install(FilterKind.TRANSACTIONS, full=full)

    def get_filter_changes(self, params: Params, _: Caller) -> list[object]:
        """What happened since the last time."""
        return self._filters.changes(parameters.text(params, 0, "rpc.ID"))

    def get_filter_logs(self, params: Params, _: Caller) -> object:
        """All logs that a filter's criteria match, past ones too."""
        criteria = self._filters.find(parameters.text(params, 0, "rpc.ID")).criteria
        if criteria is None:
            raise RpcError(SERVER_ERROR, "filter not found")
        return self._find(criteria)

    def uninstall_filter(self, params: Params, _: Caller) -> bool:
        """Stop collecting."""
        return self._filters.uninstall(parameters.text(params, 0, "rpc.ID"))

    def subscribe(self, params: Params, caller: Caller) -> str:
        """Send events over this connection from now on."""
        session = _session(caller)
        name = parameters.optional(params, 0)
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "expected subscription name as first argument")
        try:
            topic = Topic(name)
        except ValueError:
            raise RpcError(
                METHOD_NOT_FOUND, f'no "{name[:64]}" subscription in eth namespace'
            ) from None
        parameters.at_most(params, 1 if topic in (Topic.NEW_HEADS, Topic.SYNCING) else 2)
        wanted: Wanted = None
        if topic is Topic.LOGS:
            wanted = read_criteria(params, 1)
            check_followed(wanted)
        elif topic is Topic.RECEIPTS:
            wanted = _transaction_hashes(params, 1)
        full = topic is Topic.TRANSACTIONS and parameters.boolean(params, 1, default=False)
        return self._hub.subscribe(
            Subscription(session=session, topic=topic, wanted=wanted, full=full)
        )

    def unsubscribe(self, params: Params, caller: Caller) -> bool:
        """Stop sending events."""
        identity = parameters.text(params, 0, "rpc.ID")
        if caller.session is None:
            raise RpcError(SERVER_ERROR, "subscription not found")
        return self._hub.unsubscribe(caller.session, identity)

    async def _find(self, criteria: Criteria) -> list[orjson.Fragment]:
        if criteria.block_hash is not None:
            block = self._blocks.find(BlockHash(criteria.block_hash))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            logs = await self._search.of_block(block, criteria)
        else:
            first, last = range_of(criteria, lambda tag: self._blocks.require(tag).header.number)
            logs = await self._search.range(criteria, first, last)
        return [orjson.Fragment(log) for log in logs]


def _transaction_hashes(params: Params, index: int) -> frozenset[Hash32]:
    """`transactionHashes` of a subscription; none stands for all. Raises RpcError, worded as geth does."""
    value = parameters.optional(params, index)
    if value is None:
        return frozenset()
    if not isinstance(value, dict):
        raise parameters.unfit(value, index, "filters.input")
    hashes = value.get("transactionHashes")
    if hashes is None:
        return frozenset()
    if not isinstance(hashes, list):
        raise parameters.unfit(hashes, index, "[]common.Hash")
    found = frozenset(Hash32(parameters.decode_hash(one, index)) for one in hashes)
    if len(hashes) > HASHES_MAX:
        raise RpcError(
            SERVER_ERROR,
            "exceed max number of transaction hashes allowed per transactionReceipts subscription",
        )
    return found


def _session(caller: Caller) -> Session:
    """Where to send events. Raises RpcError over plain HTTP."""
    if caller.session is None:
        raise RpcError(METHOD_NOT_FOUND, "notifications not supported")
    return caller.session
