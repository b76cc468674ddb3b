"""`eth`: accounts and storage at a block.

    eth_getBalance, eth_getTransactionCount, eth_getCode, eth_getStorageAt, eth_getStorageValues, eth_getProof

Single look-ups run in place; proofs run in a worker.
"""

from __future__ import annotations

from typing import Final

from node.errors import MissingState
from node.eth.primitives import Address
from node.rpc import parameters
from node.rpc.backend import AccountProof, Engine, Pool
from node.rpc.blocks import Blocks, state_missing
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import CLIENT_LIMIT, INVALID_PARAMS, RpcError
from node.rpc.parameters import STORAGE_KEYS_MAX, Params, Tag
from node.runtime.worker import Worker


class StateNamespace:
    """Reads states."""

    def __init__(self, blocks: Blocks, engine: Engine, pool: Pool, worker: Worker) -> None:
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._pool: Final = pool
        self._worker: Final = worker

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_getBalance": Method(self.get_balance, 2),
            "eth_getTransactionCount": Method(self.get_transaction_count, 2),
            "eth_getCode": Method(self.get_code, 2),
            "eth_getStorageAt": Method(self.get_storage_at, 3),
            "eth_getStorageValues": Method(self.get_storage_values, 2),
            "eth_getProof": Method(self.get_proof, 3),
        }

    def get_balance(self, params: Params, _: Caller) -> str:
        """Wei of an account."""
        address = parameters.address(params, 0)
        root = self._root(params, 1)
        try:
            account = self._engine.account(root, address)
        except MissingState:
            raise state_missing(root) from None
        return "0x0" if account is None else hex(account.balance)

    def get_transaction_count(self, params: Params, _: Caller) -> str:
        """Nonce of an account; with `pending`, after its waiting transactions."""
        address = parameters.address(params, 0)
        if parameters.block_id(params, 1) is Tag.PENDING:
            pooled = self._pool.next_nonce(address)
            if pooled is not None:
                return hex(pooled)
        root = self._root(params, 1)
        try:
            account = self._engine.account(root, address)
        except MissingState:
            raise state_missing(root) from None
        return "0x0" if account is None else hex(account.nonce)

    def get_code(self, params: Params, _: Caller) -> str:
        """Code of an account."""
        address = parameters.address(params, 0)
        root = self._root(params, 1)
        try:
            return "0x" + self._engine.code(root, address).hex()
        except MissingState:
            raise state_missing(root) from None

    def get_storage_at(self, params: Params, _: Caller) -> str:
        """A storage word."""
        address = parameters.address(params, 0)
        slot, _length = parameters.storage_key(parameters.required(params, 1), 1)
        root = self._root(params, 2)
        try:
            return "0x" + self._engine.storage(root, address, slot).hex()
        except MissingState:
            raise state_missing(root) from None

    def get_storage_values(self, params: Params, _: Caller) -> dict[str, list[str]]:
        """Storage words of several accounts."""
        wanted = parameters.required(params, 0)
        if not isinstance(wanted, dict):
            raise parameters.invalid(
                0, "json: cannot unmarshal non-object into Go value of type map"
            )
        asked: dict[bytes, list[bytes]] = {}
        for name, keys in wanted.items():
            if keys is not None and not isinstance(keys, list):
                raise parameters.invalid(0, f"storage keys of {name[:42]} must be an array")
            slots = [parameters.decode_hash(key, 0) for key in keys or ()]
            asked[parameters.decode_address(name, 0)] = slots
        total = sum(map(len, asked.values()))
        if not total:
            raise RpcError(INVALID_PARAMS, "empty request")
        if total > STORAGE_KEYS_MAX:
            raise RpcError(CLIENT_LIMIT, f"too many slots (max {STORAGE_KEYS_MAX})")
        root = self._root(params, 1)
        try:
            return {
                "0x" + address.hex(): [
                    "0x" + self._engine.storage(root, address, slot).hex() for slot in slots
                ]
                for address, slots in asked.items()
            }
        except MissingState:
            raise state_missing(root) from None

    def get_proof(self, params: Params, _: Caller) -> object:
        """An EIP-1186 proof of an account and some of its storage."""
        address = parameters.address(params, 0)
        given = parameters.required(params, 1)
        if not isinstance(given, list):
            raise parameters.unfit(given, 1, "[]string")
        if len(given) > STORAGE_KEYS_MAX:
            told = f"too many storage keys requested (max {STORAGE_KEYS_MAX}, got {len(given)})"
            raise RpcError(INVALID_PARAMS, told)
        keys = [parameters.storage_key("" if key is None else key, 1) for key in given]
        return self._prove(address, keys, self._root(params, 2))

    async def _prove(
        self, address: Address, keys: list[tuple[bytes, int]], root: bytes
    ) -> dict[str, object]:
        slots = [slot for slot, _ in keys]
        try:
            proof = await self._worker.run(lambda: self._engine.proof(root, address, slots))
        except MissingState:
            raise state_missing(root) from None
        return _proof_json(address, keys, proof)

    def _root(self, params: Params, index: int) -> bytes:
        return self._blocks.require(parameters.block_id(params, index)).header.state_root


def _proof_json(
    address: Address, keys: list[tuple[bytes, int]], proof: AccountProof
) -> dict[str, object]:
    """Print a proof; a key that was given short is printed as a quantity, as geth does."""
    account = proof.account
    return {
        "address": "0x" + address.hex(),
        "accountProof": ["0x" + node.hex() for node in proof.nodes],
        "balance": hex(account.balance),
        "codeHash": "0x" + account.code_hash.hex(),
        "nonce": hex(account.nonce),
        "storageHash": "0x" + account.storage_root.hex(),
        "storageProof": [
            {
                "key": "0x" + slot.hex() if length == 32 else hex(int.from_bytes(slot, "big")),
                "value": hex(int.from_bytes(value, "big")),
                "proof": ["0x" + node.hex() for node in nodes],
            }
            for (slot, length), (value, nodes) in zip(keys, proof.slots, strict=True)
        ],
    }
