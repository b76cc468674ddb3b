"""`devnet`: what this network is, how its consensus stands, and how to break it on purpose.

    devnet_info, devnet_consensus, devnet_finalityProof, devnet_break, devnet_heal, devnet_breaks

Breaking is refused to every web page but the watch page, and on a port that more than this machine can reach.
Without faults in the manifest the three methods do not exist, without a consensus of the chain's own (L2) neither do the two
that tell of it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from node.rpc import parameters
from node.rpc.backend import DevnetView, FaultControl
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import INVALID_PARAMS, SERVER_ERROR, RpcError
from node.rpc.parameters import Params


class DevnetNamespace:
    """Tells of the devnet and breaks it."""

    def __init__(self, view: DevnetView, *, private: bool, watch_origin: str | None) -> None:
        """`private`: whether only this machine reaches the port; `watch_origin`: the page that may break."""
        self._view: Final = view
        self._private: Final = private
        self._watch_origin: Final = watch_origin

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        table = {"devnet_info": Method(self.info, 0)}
        consensus, finality_proof = self._view.consensus, self._view.finality_proof
        if consensus is not None:
            table["devnet_consensus"] = Method(lambda _, __: consensus(), 0)
        if finality_proof is not None:
            table["devnet_finalityProof"] = Method(
                lambda params, _: finality_proof(parameters.hash32(params, 0)), 1
            )
        if self._view.faults is not None:
            table |= {
                "devnet_break": Method(self.inject, 2),
                "devnet_heal": Method(self.heal, 1),
                "devnet_breaks": Method(self.breaks, 0),
            }
        return table

    def info(self, _: Params, __: Caller) -> object:
        """Chains, addresses, processes and timings."""
        return self._view.info()

    def inject(self, params: Params, caller: Caller) -> object:
        """Start a fault of the catalogue."""
        faults = self._faults_for(caller)
        name = parameters.text(params, 0)
        given = parameters.optional(params, 1)
        if given is not None and not isinstance(given, dict):
            raise parameters.invalid(1, "fault parameters must be an object")
        return _told(faults.inject(name, given or {}))

    def heal(self, params: Params, caller: Caller) -> object:
        """End one fault, or all."""
        faults = self._faults_for(caller)
        name = None if parameters.optional(params, 0) is None else parameters.text(params, 0)
        return _told(faults.heal(name))

    def breaks(self, _: Params, caller: Caller) -> object:
        """The faults in force."""
        return self._faults_for(caller).active()

    def _faults_for(self, caller: Caller) -> FaultControl:
        """The faults, for one who may use them. Raises RpcError."""
        assert self._view.faults is not None
        if not self._private:
            raise RpcError(
                SERVER_ERROR,
                "faults are refused: this port is not bound to loopback "
                "(rpc.published_on_loopback says that a container's port is published there only)",
            )
        if caller.origin is not None and caller.origin != self._watch_origin:
            raise RpcError(
                SERVER_ERROR, f"faults are refused to web pages of {caller.origin[:128]}"
            )
        return self._view.faults


async def _told(answer: Awaitable[object]) -> object:
    """What a fault answers. Raises RpcError that names a wrong parameter."""
    try:
        return await answer
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
