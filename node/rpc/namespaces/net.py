"""`net`, `web3`, `rpc` and what `eth` says of the network as a whole.

eth_chainId, eth_syncing, net_version, net_listening, net_peerCount, web3_clientVersion, web3_sha3, rpc_modules
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.eth.hashing import keccak256
from node.rpc import parameters
from node.rpc.backend import SyncProgress
from node.rpc.dispatch import Caller, Method
from node.rpc.parameters import Params
from node.rpc.subscriptions import sync_numbers


class NetNamespace:
    """Tells which network this is and how the node stands in it."""

    def __init__(
        self,
        *,
        chain_id: int,
        client_version: str,
        peer_count: Callable[[], int],
        sync_progress: Callable[[], SyncProgress | None],
        namespaces: Callable[[], set[str]],
    ) -> None:
        self._chain_id: Final = chain_id
        self._client_version: Final = client_version
        self._peer_count: Final = peer_count
        self._sync_progress: Final = sync_progress
        self._namespaces: Final = namespaces

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_chainId": Method(self.chain_id, 0),
            "eth_syncing": Method(self.syncing, 0),
            "net_version": Method(self.version, 0),
            "net_listening": Method(self.listening, 0),
            "net_peerCount": Method(self.peer_count, 0),
            "web3_clientVersion": Method(self.client_version, 0),
            "web3_sha3": Method(self.sha3, 1),
            "rpc_modules": Method(self.modules, 0),
        }

    def chain_id(self, _: Params, __: Caller) -> str:
        """EIP-155 chain id."""
        return hex(self._chain_id)

    def syncing(self, _: Params, __: Caller) -> object:
        """False, or how far catching up has come."""
        progress = self._sync_progress()
        return False if progress is None else sync_numbers(progress)

    def version(self, _: Params, __: Caller) -> str:
        """Network id, decimal; the chain id."""
        return str(self._chain_id)

    def listening(self, _: Params, __: Caller) -> bool:
        """True: the node always listens."""
        return True

    def peer_count(self, _: Params, __: Caller) -> str:
        """Number of connected peers."""
        return hex(self._peer_count())

    def client_version(self, _: Params, __: Caller) -> str:
        """Name and version of this program."""
        return self._client_version

    def sha3(self, params: Params, _: Caller) -> str:
        """keccak-256 of some bytes."""
        return "0x" + keccak256(parameters.data(params, 0)).hex()

    def modules(self, _: Params, __: Caller) -> dict[str, str]:
        """Namespaces that are served, with their version."""
        return dict.fromkeys(sorted(self._namespaces()), "1.0")
