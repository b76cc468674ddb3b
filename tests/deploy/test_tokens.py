"""Tokens on both layers: found by either address, given a twin once, moved by the bridges' own calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from eth_abi.abi import encode as abi_encode
from pydantic import JsonValue

from deploy import chains as deploy_chains, tokens
from deploy.accounts import FundedAccount
from deploy.chains import Chain
from deploy.derivation import mnemonic_accounts
from deploy.json_rpc import RpcRefused
from deploy.tokens import (
    NoToken,
    Token,
    approve_call,
    create_twin,
    deposit_call,
    token_of,
    withdraw_call,
)
from node.contracts.abi import selector
from node.contracts.addresses import L1_STANDARD_BRIDGE
from node.contracts.messages import TOKEN_CREATED

(SENDER,) = mnemonic_accounts(1)
ON_L1, ON_L2 = "0x" + "a1" * 20, "0x" + "a2" * 20
L1, L2 = Chain(["http://l1"]), Chain(["http://l2"])


@dataclass
class Layers:
    """Both layers: a token on L1, and its twin once there is one."""

    has_twin: bool = False
    symbol: bytes = abi_encode(["string"], ["BRG"])
    decimals: int = 6
    sent: list[bytes] = field(default_factory=list)

    def call(self, url: str, method: str, *parameters: JsonValue) -> JsonValue:
        match method:
            case "eth_blockNumber":
                return "0x7"
            case "eth_getLogs":
                assert isinstance(parameters[0], dict)
                topics: list[JsonValue] = [
                    "0x" + TOKEN_CREATED.hex(),
                    "0x" + ON_L2[2:].rjust(64, "0"),
                    "0x" + ON_L1[2:].rjust(64, "0"),
                ]
                wanted = parameters[0]["topics"]
                assert wanted == [topics[0], None, topics[2]]
                return [{"topics": topics}] if self.has_twin else []
            case "eth_call":
                assert isinstance(parameters[0], dict)
                data = bytes.fromhex(str(parameters[0]["data"])[2:])
                return "0x" + self._answer(url, data).hex()
            case _:
                raise AssertionError(method)

    def _answer(self, url: str, data: bytes) -> bytes:
        if data[:4] == selector("deployments(address)"):
            is_twin = self.has_twin and data[-20:].hex() == ON_L2[2:]
            return bytes(12) + (bytes.fromhex(ON_L1[2:]) if is_twin else bytes(20))
        assert url == "http://l1"
        if not self.symbol:
            raise RpcRefused(3, "execution reverted")
        is_symbol = data == selector("symbol()")
        return self.symbol if is_symbol else self.decimals.to_bytes(32)


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> Layers:
    found = Layers()

    def transact(chain: Chain, sender: FundedAccount, to: str, data: bytes) -> str:
        assert (chain, sender, to) == (L2, SENDER, "0x42" + "00" * 18 + "12")
        found.sent.append(data)
        found.has_twin = True
        return "0xaa"

    monkeypatch.setattr(deploy_chains, "call", found.call)
    monkeypatch.setattr(tokens, "transact", transact)
    monkeypatch.setattr(tokens, "receipt_of", lambda *_: {})
    return found


def test_a_token_is_found_by_either_address(layers: Layers) -> None:
    assert token_of(L1, L2, ON_L1) == Token(on_l1=ON_L1, on_l2=None, symbol="BRG", decimals=6)
    layers.has_twin = True
    both = Token(on_l1=ON_L1, on_l2=ON_L2, symbol="BRG", decimals=6)
    assert token_of(L1, L2, ON_L1) == both == token_of(L1, L2, ON_L2)


@pytest.mark.parametrize(
    ("symbol", "decimals"),
    [
        (b"", 6),
        (b"short", 6),
        (abi_encode(["string"], [""]), 6),
        (abi_encode(["string"], ["B"]), 99),
    ],
)
def test_what_is_no_token_is_named(layers: Layers, symbol: bytes, decimals: int) -> None:
    layers.symbol, layers.decimals = symbol, decimals
    with pytest.raises(NoToken, match=f"{ON_L1} is no ERC-20 token on L1"):
        token_of(L1, L2, ON_L1)


def test_a_symbol_that_no_twin_can_have_is_named(layers: Layers) -> None:
    layers.symbol = abi_encode(["string"], ["B" * 33])
    token = token_of(L1, L2, ON_L1)
    with pytest.raises(NoToken, match=r"can have no twin: 'B+': 33 bytes, at most 32"):
        create_twin(L2, SENDER, token)


def test_a_twin_is_made_as_the_factory_wants_it(layers: Layers) -> None:
    token = token_of(L1, L2, ON_L1)
    assert create_twin(L2, SENDER, token).on_l2 == ON_L2
    name = "createOptimismMintableERC20WithDecimals(address,string,string,uint8)"
    arguments = abi_encode(["address", "string", "string", "uint8"], [ON_L1, "BRG of L1", "BRG", 6])
    assert layers.sent == [selector(name) + arguments]


def test_the_calls_are_the_bridges() -> None:
    token = Token(on_l1=ON_L1, on_l2=ON_L2, symbol="BRG", decimals=6)
    receiver = "0x" + "0c" * 20
    deposit = abi_encode(
        ["address", "address", "address", "uint256", "uint32", "bytes"],
        [ON_L1, ON_L2, receiver, 5, 200_000, b""],
    )
    name = "bridgeERC20To(address,address,address,uint256,uint32,bytes)"
    assert deposit_call(token, receiver, 5, 200_000) == selector(name) + deposit
    withdraw = abi_encode(
        ["address", "address", "uint256", "uint32", "bytes"], [ON_L2, receiver, 5, 200_000, b""]
    )
    name = "withdrawTo(address,address,uint256,uint32,bytes)"
    assert withdraw_call(token, receiver, 5, 200_000) == selector(name) + withdraw
    approve = abi_encode(["address", "uint256"], ["0x" + L1_STANDARD_BRIDGE.hex(), 5])
    assert approve_call(5) == selector("approve(address,uint256)") + approve
