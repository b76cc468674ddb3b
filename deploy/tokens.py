"""ERC-20 tokens on both layers: a token of L1 and its twin on L2, which the factory makes for whoever asks.

    token's address on either layer -> token_of -> Token (both addresses, symbol, decimals)
    no twin yet -> create_twin -> OptimismMintableERC20Factory

One L1 token may have many twins; the bridge keeps their books apart. The first that the factory made is taken, so that everybody
who uses these commands meets in one.
Deliberately absent: tokens that were born on L2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.chains import Chain, hex_bytes, receipt_of, topics_of, transact
from deploy.json_rpc import RpcRefused
from node.contracts import messages
from node.contracts.abi import decode, encode_call
from node.contracts.addresses import (
    L1_STANDARD_BRIDGE,
    L2_STANDARD_BRIDGE,
    MINTABLE_ERC20_FACTORY,
)
from node.errors import Rejected
from node.eth.primitives import Address

MESSAGE_GAS: Final = messages.TRANSFER_GAS
"""Gas for minting or releasing tokens on the other layer."""

DECIMALS_MAX: Final = 77
"""A unit has to fit into a word."""

_ADDRESS_BYTES: Final = 20


class NoToken(Exception):
    """There is no token at an address; the message says what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that can be bridged."""

    on_l1: str
    """Its contract on L1."""
    on_l2: str | None
    """Its twin; None before somebody had one made."""
    symbol: str
    """What it is called."""
    decimals: int
    """Of its amounts."""


def bridge_of_l1() -> str:
    """Address of the L1StandardBridge."""
    return "0x" + L1_STANDARD_BRIDGE.hex()


def bridge_of_l2() -> str:
    """Address of the L2StandardBridge."""
    return "0x" + L2_STANDARD_BRIDGE.hex()


def token_of(l1: Chain, l2: Chain, address: str) -> Token:
    """Find a token by its address on L1, or its twin's on L2. Raises NoToken, RpcRefused, RpcUnavailable."""
    factory = "0x" + MINTABLE_ERC20_FACTORY.hex()
    remote = l2.read(factory, encode_call("deployments(address)", _address(address)))[12:]
    on_l1 = "0x" + remote.hex() if any(remote) else address
    on_l2 = address if any(remote) else _twin_of(l2, factory, address)
    try:
        answer = l1.read(on_l1, encode_call("symbol()"))
        symbol = _text(answer) if answer else ""  # An account without code answers nothing.
        decimals = int.from_bytes(l1.read(on_l1, encode_call("decimals()")))
    except (RpcRefused, Rejected) as error:
        raise NoToken(f"{on_l1} is no ERC-20 token on L1: {error}") from error
    if decimals > DECIMALS_MAX or not symbol:
        raise NoToken(f"{on_l1} is no ERC-20 token on L1: it has no symbol or no decimals")
    return Token(on_l1=on_l1, on_l2=on_l2, symbol=symbol, decimals=decimals)


def create_twin(l2: Chain, sender: FundedAccount, token: Token) -> Token:
    """Have the factory make a token's twin. Raises NoToken, TransactionFailed, RpcRefused, RpcUnavailable."""
    factory = "0x" + MINTABLE_ERC20_FACTORY.hex()
    try:
        call = messages.create_token(
            _address(token.on_l1),
            name=f"{token.symbol} of L1",
            symbol=token.symbol,
            decimals=token.decimals,
        )
    except ValueError as error:
        raise NoToken(f"{token.on_l1} can have no twin: {error}") from error
    receipt_of(l2, transact(l2, sender, factory, call))
    twin = _twin_of(l2, factory, token.on_l1)
    assert twin is not None, "the factory has just made it"
    return Token(on_l1=token.on_l1, on_l2=twin, symbol=token.symbol, decimals=token.decimals)


def approve_call(units: int) -> bytes:
    """Let the L1StandardBridge take so much of the caller's."""
    return messages.approve(L1_STANDARD_BRIDGE, units)


def deposit_call(token: Token, to: str, units: int, gas: int) -> bytes:
    """Ask the L1StandardBridge to take tokens and have their twin minted on L2."""
    assert token.on_l2 is not None, "a token without a twin has nowhere to go"
    return messages.bridge_tokens(
        _address(token.on_l1), _address(token.on_l2), _address(to), units, gas_limit=gas
    )


def withdraw_call(token: Token, to: str, units: int, gas: int) -> bytes:
    """Ask the L2StandardBridge to burn tokens and have them released on L1."""
    assert token.on_l2 is not None, "a token without a twin is not on L2"
    return messages.withdraw_to(_address(token.on_l2), _address(to), units, gas_limit=gas)


def _twin_of(l2: Chain, factory: str, on_l1: str) -> str | None:
    topics: list[JsonValue] = [
        "0x" + messages.TOKEN_CREATED.hex(),
        None,
        "0x" + _address(on_l1).rjust(32, b"\0").hex(),
    ]
    for log in l2.logs(factory, topics):
        return "0x" + topics_of(log)[1][-_ADDRESS_BYTES:].hex()
    return None


def _text(answer: bytes) -> str:
    (found,) = decode(("string",), answer)
    assert isinstance(found, bytes)
    return found.decode(errors="replace")


def _address(text: str) -> Address:
    return Address(hex_bytes(text.lower()))
