"""One of the two chains as a test sees it: where it is, what it holds, and waiting for its heads.

Deliberately absent: a wallet library. Tests bring the one they test with; urls, chain id and keys are what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic import JsonValue

from deploy.chains import json_object, quantity
from deploy.json_rpc import RpcUnavailable, call
from deploy.testing.waiting import DEADLINE_S, wait_for

Tag = Literal["latest", "safe", "finalized"]
"""A head of a chain. Of L1, `safe` is the justified block; of the L2, what L1 holds the data of."""

CALL_DEADLINE_S = 30.0
"""An answer is never waited for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """L1, or the L2."""

    name: str
    """"l1" or "l2"."""
    chain_id: int
    """EIP-155 chain id."""
    urls: Mapping[str, str]
    """JSON-RPC over HTTP of each process that serves the chain, by its name, the one to prefer first."""
    contracts: Mapping[str, str]
    """EIP-55 addresses of what is there from the start, by name."""

    @property
    def url(self) -> str:
        """JSON-RPC over HTTP: of validator-0, of the sequencer."""
        return next(iter(self.urls.values()))

    @property
    def ws_url(self) -> str:
        """The same over WebSocket."""
        return "ws" + self.url.removeprefix("http")

    def rpc(self, method: str, *parameters: JsonValue, at: str | None = None) -> JsonValue:
        """Call a method of a process, the preferred one unless `at` names another.

        Raises:
            RpcRefused: an error answer.
            RpcUnavailable: no answer.
        """
        url = self.url if at is None else self.urls[at]
        return call(url, method, *parameters, timeout_s=CALL_DEADLINE_S)

    def block(self, tag: Tag | int = "latest", at: str | None = None) -> dict[str, JsonValue]:
        """A block with hashes of its transactions. Raises RpcRefused, RpcUnavailable, LookupError."""
        wanted = hex(tag) if isinstance(tag, int) else tag
        found = self.rpc("eth_getBlockByNumber", wanted, False, at=at)
        if found is None:
            raise LookupError(f"{self.name} holds no block {tag}")
        return json_object(found)

    def number(self, tag: Tag = "latest", at: str | None = None) -> int:
        """Number of a tagged block. Raises RpcRefused, RpcUnavailable."""
        return quantity(self.block(tag, at)["number"])

    def balance(self, address: str, at: str | None = None) -> int:
        """Wei that an account has on the head. Raises RpcRefused, RpcUnavailable."""
        return quantity(self.rpc("eth_getBalance", address, "latest", at=at))

    def wait_for_receipt(
        self, transaction: str, at: str | None = None, deadline_s: float = DEADLINE_S
    ) -> dict[str, JsonValue]:
        """The receipt of a transaction once it is in a block. Raises NotInTime, RpcRefused."""
        return wait_for(
            f"{self.name} to include {transaction}",
            partial(self._receipt, transaction, at),
            deadline_s,
        )

    def wait_until(
        self,
        tag: Tag,
        number: int | None = None,
        *,
        at: Sequence[str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> int:
        """Wait until a head has come to a block number; gives that number.

        Args:
            tag: which head.
            number: how far; the latest block of this moment unless said.
            at: processes that must all have come so far; the preferred one unless said. One that is down is waited for.
            deadline_s: how long to wait for each.

        Raises:
            NotInTime: it does not come so far.
        """
        goal = self.number() if number is None else number
        for process in [next(iter(self.urls))] if at is None else at:
            wait_for(
                f"the {tag} head of {process} to reach {self.name} block {goal}",
                partial(self._has_reached, tag, goal, process),
                deadline_s,
            )
        return goal

    def _has_reached(self, tag: Tag, number: int, process: str) -> bool:
        try:
            return self.number(tag, at=process) >= number
        except RpcUnavailable:
            return False

    def _receipt(self, transaction: str, at: str | None) -> dict[str, JsonValue] | None:
        try:
            found = self.rpc("eth_getTransactionReceipt", transaction, at=at)
        except RpcUnavailable:
            return None
        return found if isinstance(found, dict) else None
