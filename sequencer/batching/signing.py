"""Transactions of the batcher's account on L1: EIP-1559, signed with its key.

    call data + nonce + fee -> Account.sign -> raw transaction -> L1 pool

Also used by whoever forces the Inbox on.
Deliberately absent: key files (config), nonces and fees (planning, fees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coincurve import PrivateKey

from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from sequencer.batching.fees import Fee

TRANSACTION_GAS: Final = 21_000
"""Intrinsic."""

ZERO_BYTE_GAS: Final = 4
"""Of call data; others cost four times as much."""

FLOOR_ZERO_BYTE_GAS: Final = 10
"""Least price of a zero byte of call data (EIP-7623); others cost four times as much."""

CALL_DATA_FIELD: Final = 7
"""Place of the call data among a transaction's fields."""

_TYPE: Final = b"\x02"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction."""

    hash: Hash32
    """keccak-256 of its bytes."""
    raw: bytes
    """EIP-2718."""


class L1Account:
    """A key that pays for transactions on L1."""

    def __init__(self, secret: bytes, chain_id: int) -> None:
        """Take a secp256k1 secret of 32 bytes. Raises ValueError for what is none."""
        self._key = PrivateKey(secret)
        self._chain_id = chain_id
        public = self._key.public_key.format(compressed=False)
        self.address: Final = Address(keccak256(public[1:])[12:])
        """Who pays; 20 bytes."""

    def sign(
        self,
        *,
        nonce: int,
        to: Address,
        call_data: bytes,
        gas_limit: int,
        fee: Fee,
        value_wei: int = 0,
    ) -> Signed:
        """Sign a call."""
        body: list[rlp.Encodable] = [
            self._chain_id,
            nonce,
            fee.tip_wei,
            fee.max_fee_wei,
            gas_limit,
            to,
            value_wei,
            call_data,
            [],
        ]
        digest = keccak256(_TYPE + rlp.encode(body))
        signature = self._key.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        raw = _TYPE + rlp.encode([*body, signature[64], r, s])
        return Signed(keccak256(raw), raw)


def gas_limit(call_data: bytes, execution_gas: int) -> int:
    """Bound the gas of a call that uses so much once it runs."""
    zeros = call_data.count(0)
    weight = zeros + 4 * (len(call_data) - zeros)
    runs = TRANSACTION_GAS + ZERO_BYTE_GAS * weight + execution_gas
    floor = TRANSACTION_GAS + FLOOR_ZERO_BYTE_GAS * weight
    return max(runs, floor)
