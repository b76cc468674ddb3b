"""What goes over the bridge above deposits and withdrawals: messages, Ether and tokens, as calls, logs and names.

    typed arguments -> calldata        logs of a transaction -> CrossMessage -> hash -> delivered, failed, or not there

A message is a deposit or a withdrawal between the two messengers whose input is `relayMessage(...)`: keccak of that input
names it on both sides. A transfer of the standard bridges is a message between the two bridges.
Deliberately absent: when a message arrives (node.rollup.deposits, bridge.withdrawals), and who pays for a replay.

Source: OP Stack specification, "Cross Domain Messengers" and "Standard Bridges".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.contracts.abi import Value, decode, encode_call
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

MAX_MESSAGE_BYTES: Final = 32_512
"""Longest message: with `relayMessage` around it, it fits into the longest deposit."""

MAX_EXTRA_BYTES: Final = 8_192
"""Longest extra data of a transfer."""

MAX_NAME_BYTES: Final = 64
"""Longest name of a token that the factory makes, UTF-8."""

MAX_SYMBOL_BYTES: Final = 32
"""Longest symbol of such a token, UTF-8."""

TRANSFER_GAS: Final = 200_000
"""Least gas on the other side that the bridges ask for themselves; tokens that arrive for the first time take 124,000 in all."""

SENT_MESSAGE: Final = keccak256(b"SentMessage(address,address,bytes,uint256,uint256)")
"""First topic of a messenger's log of a message: target; sender, message, nonce and gas are data."""

SENT_MESSAGE_EXTENSION: Final = keccak256(b"SentMessageExtension1(address,uint256)")
"""First topic of the log behind it: sender; the message's Ether is data."""

RELAYED_MESSAGE: Final = keccak256(b"RelayedMessage(bytes32)")
"""First topic of a messenger's log of a delivery: the message's hash."""

FAILED_MESSAGE: Final = keccak256(b"FailedRelayedMessage(bytes32)")
"""First topic of a messenger's log of a failure: the message's hash."""

TOKEN_CREATED: Final = keccak256(b"OptimismMintableERC20Created(address,address,address)")
"""First topic of the factory's log of a new token: local token, remote token; who asked is data."""

_RELAY = "relayMessage(uint256,address,address,uint256,uint256,bytes)"
_FIXED_GAS = 200_000 + 40_000 + 40_000 + 5_000
_ENCODING_BYTES = 260
_TRANSACTION_GAS = 21_000
_BYTE_GAS = 16
_FLOOR_BYTE_GAS = 40


class Logged(Protocol):
    """A log of a receipt, whoever read it."""

    @property
    def address(self) -> bytes:
        """Its contract."""

    @property
    def topics(self) -> Sequence[bytes]:
        """32 bytes each."""

    @property
    def data(self) -> bytes:
        """The rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossMessage:
    """A message as both messengers name it."""

    nonce: int
    """How many came before it, below version 1 in the highest 16 bits."""
    sender: Address
    """Who sent it; 20 bytes."""
    target: Address
    """Whom it calls on the other side; 20 bytes."""
    value: int
    """Wei that it takes along."""
    gas_limit: int
    """Least gas of the call."""
    data: bytes
    """The call's input."""

    def relay(self) -> bytes:
        """Call `relayMessage`: what the deposit or withdrawal carries, and what tries a failed one again."""
        return encode_call(
            _RELAY,
            self.nonce,
            self.sender,
            self.target,
            self.value,
            self.gas_limit,
            self.data,
        )

    def hash(self) -> Hash32:
        """Name it: keccak of the call."""
        return keccak256(self.relay())


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedToken:
    """A token that the factory made."""

    local: Address
    """The new token; 20 bytes."""
    remote: Address
    """The token that it stands for; 20 bytes."""
    deployer: Address
    """Who asked; 20 bytes."""


# -- messengers


def send_message(target: Address, *, gas_limit: int, data: bytes) -> bytes:
    """Send a message, and the Ether that is paid along, to the other side."""
    return encode_call("sendMessage(address,bytes,uint32)", target, data, gas_limit)


def resend_message(message: CrossMessage, gas: int) -> bytes:
    """Bring a message of L1 again whose deposit failed on L2 as a whole, with this gas (`base_gas` at least)."""
    return encode_call(
        "resendMessage(uint256,address,address,uint256,uint256,bytes,uint64)",
        message.nonce,
        message.sender,
        message.target,
        message.value,
        message.gas_limit,
        message.data,
        gas,
    )


def base_gas(data_bytes: int, gas_limit: int) -> int:
    """Reckon the gas of a message's deposit or withdrawal, as the messengers do."""
    size = data_bytes + _ENCODING_BYTES
    execution = _FIXED_GAS + gas_limit * 64 // 63
    return _TRANSACTION_GAS + max(execution + size * _BYTE_GAS, size * _FLOOR_BYTE_GAS)


def is_delivered(name: Hash32) -> bytes:
    """Ask a messenger whether it delivered a message; the answer is one word."""
    return encode_call("successfulMessages(bytes32)", name)


def has_failed(name: Hash32) -> bytes:
    """Ask a messenger whether delivering a message failed, so that anyone may try again; the answer is one word."""
    return encode_call("failedMessages(bytes32)", name)


def sent_messages(logs: Iterable[Logged], messenger: Address) -> tuple[CrossMessage, ...]:
    """List the messages that a transaction sent through a messenger, from its logs in order."""
    found: list[CrossMessage] = []
    pending: tuple[Value, ...] | None = None
    for log in logs:
        if log.address != messenger or len(log.topics) != 2:
            continue
        if log.topics[0] == SENT_MESSAGE:
            kinds = ("address", "bytes", "uint256", "uint256")
            pending = _values(("address",), log.topics[1], kinds, log.data)
        elif log.topics[0] == SENT_MESSAGE_EXTENSION and pending is not None:
            extension = _values(("address",), log.topics[1], ("uint256",), log.data)
            if extension is not None:
                found.append(_message(pending, extension[1]))
            pending = None
    return tuple(found)


def outcomes(logs: Iterable[Logged], messenger: Address) -> dict[Hash32, bool]:
    """Tell from a transaction's logs which messages a messenger delivered (True) or could not (False)."""
    ends = {RELAYED_MESSAGE: True, FAILED_MESSAGE: False}
    return {
        Hash32(log.topics[1]): ends[Hash32(log.topics[0])]
        for log in logs
        if log.address == messenger and len(log.topics) == 2 and log.topics[0] in ends
    }


# -- standard bridges


def bridge_ether(to: Address, *, gas_limit: int = TRANSFER_GAS, extra: bytes = b"") -> bytes:
    """Send the Ether that is paid along to an address on the other side."""
    return encode_call("bridgeETHTo(address,uint32,bytes)", to, gas_limit, extra)


def bridge_tokens(
    local: Address,
    remote: Address,
    to: Address,
    amount: int,
    *,
    gas_limit: int = TRANSFER_GAS,
    extra: bytes = b"",
) -> bytes:
    """Send tokens to an address on the other side; a token that is kept here needs an allowance for the bridge."""
    return encode_call(
        "bridgeERC20To(address,address,address,uint256,uint32,bytes)",
        local,
        remote,
        to,
        amount,
        gas_limit,
        extra,
    )


def withdraw_to(
    token: Address,
    to: Address,
    amount: int,
    *,
    gas_limit: int = TRANSFER_GAS,
    extra: bytes = b"",
) -> bytes:
    """Send a token of L2 that stands for one of L1, or Ether (LEGACY_ETHER, paid along), to an address on L1."""
    return encode_call(
        "withdrawTo(address,address,uint256,uint32,bytes)", token, to, amount, gas_limit, extra
    )


def held_for(local: Address, remote: Address) -> bytes:
    """Ask a bridge how many tokens it keeps for a pair; the answer is one word."""
    return encode_call("deposits(address,address)", local, remote)


# -- tokens


def create_token(remote: Address, *, name: str, symbol: str, decimals: int = 18) -> bytes:
    """Make a token on L2 that stands for one of L1. Raises ValueError for a name or symbol that is too long."""
    for text, most in ((name, MAX_NAME_BYTES), (symbol, MAX_SYMBOL_BYTES)):
        if len(text.encode()) > most:
            raise ValueError(f"{text!r}: {len(text.encode())} bytes, at most {most}")
    return encode_call(
        "createOptimismMintableERC20WithDecimals(address,string,string,uint8)",
        remote,
        name.encode(),
        symbol.encode(),
        decimals,
    )


def read_created_token(topics: Sequence[bytes], data: bytes) -> CreatedToken | None:
    """Read a log of the factory; None if it is no OptimismMintableERC20Created."""
    if len(topics) != 3 or topics[0] != TOKEN_CREATED:
        return None
    values = _values(("address", "address"), b"".join(topics[1:]), ("address",), data)
    if values is None:
        return None
    local, remote, deployer = (Address(_bytes(value)) for value in values)
    return CreatedToken(local=local, remote=remote, deployer=deployer)


def approve(spender: Address, amount: int) -> bytes:
    """Let a spender take tokens."""
    return encode_call("approve(address,uint256)", spender, amount)


def allowance(owner: Address, spender: Address) -> bytes:
    """Ask a token how much of an owner's a spender may take; the answer is one word."""
    return encode_call("allowance(address,address)", owner, spender)


def balance_of(owner: Address) -> bytes:
    """Ask a token for a balance; the answer is one word."""
    return encode_call("balanceOf(address)", owner)


def decimals_of() -> bytes:
    """Ask a token for its decimals; the answer is one word."""
    return encode_call("decimals()")


def remote_token() -> bytes:
    """Ask a token of the factory for the token that it stands for; the answer is one word."""
    return encode_call("remoteToken()")


def _message(head: Sequence[Value], value: Value) -> CrossMessage:
    target, sender, data, nonce, gas_limit = head
    return CrossMessage(
        nonce=_number(nonce),
        sender=Address(_bytes(sender)),
        target=Address(_bytes(target)),
        value=_number(value),
        gas_limit=_number(gas_limit),
        data=_bytes(data),
    )


def _values(
    indexed: Sequence[str], topics: bytes, plain: Sequence[str], data: bytes
) -> tuple[Value, ...] | None:
    """Values of a log, indexed ones first; None if they are not encoded as these kinds."""
    try:
        return (*decode(indexed, topics), *decode(plain, data))
    except Rejected:
        return None


def _number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value
