"""WETH: one for one with Ether, whoever does what."""

from __future__ import annotations

from typing import Final

import pytest
from eth_account.signers.local import LocalAccount
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.contracts import addresses
from node.eth.primitives import Address
from tests.kit.contract_network import BATCHER, FORCER, Network
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import SENDER, address_of

REFUSER: Final = Address(b"\x4e" * 20)
"""Takes no payment."""

UNLIMITED: Final = 2**256 - 1

HOLDERS: Final[tuple[LocalAccount, ...]] = (SENDER, FORCER, BATCHER)


@pytest.fixture
def network() -> Network:
    """The sender has wrapped 100 wei."""
    opened = Network.open()
    opened.world.transact(SENDER, opened.weth, "deposit", value=100)
    return opened


def balance(network: Network, account: LocalAccount) -> int:
    return network.world.number(network.weth, "balanceOf", address_of(account))


def test_wrapping_and_unwrapping_log(network: Network) -> None:
    deposited = network.world.send(SENDER, addresses.WETH, b"\xde\xad\xbe\xef", value=5)
    withdrawn = network.world.transact(SENDER, network.weth, "withdraw", 30)
    sender = SENDER.address.lower()
    assert network.weth.events(deposited, "Deposit") == [{"dst": sender, "wad": 5}]
    assert network.weth.events(withdrawn, "Withdrawal") == [{"src": sender, "wad": 30}]
    assert balance(network, SENDER) == 75
    assert network.world.read(network.weth, "totalSupply") == 75
    assert network.world.balance(addresses.WETH) == 75


def test_transfers_log(network: Network) -> None:
    receipt = network.world.transact(SENDER, network.weth, "transfer", address_of(FORCER), 40)
    expected = {"sender": SENDER.address.lower(), "receiver": FORCER.address.lower(), "value": 40}
    assert network.weth.events(receipt, "Transfer") == [expected]
    assert (balance(network, SENDER), balance(network, FORCER)) == (60, 40)


def test_allowances_run_out_unless_they_are_unlimited(network: Network) -> None:
    world, weth = network.world, network.weth
    spend = (address_of(SENDER), address_of(BATCHER))
    world.transact(SENDER, weth, "approve", address_of(FORCER), 50)
    world.transact(FORCER, weth, "transferFrom", *spend, 30)
    with pytest.raises(Reverted, match="InsufficientAllowance"):
        world.transact(FORCER, weth, "transferFrom", *spend, 21)
    world.transact(SENDER, weth, "approve", address_of(FORCER), UNLIMITED)
    world.transact(FORCER, weth, "transferFrom", *spend, 21)
    assert world.read(weth, "allowance", address_of(SENDER), address_of(FORCER)) == UNLIMITED
    assert balance(network, BATCHER) == 51
    world.transact(SENDER, weth, "transferFrom", *spend, 1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("withdraw", (101,)),
        ("transfer", (b"\1" * 20, 101)),
        ("transferFrom", (address_of(SENDER), b"\1" * 20, 101)),
    ],
)
def test_more_than_there_is_is_refused(
    network: Network, name: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(Reverted, match="InsufficientBalance"):
        network.world.transact(SENDER, network.weth, name, *arguments)


def test_who_refuses_ether_keeps_the_tokens() -> None:
    network = Network.open(
        extra_accounts={"0x" + REFUSER.hex(): {"balance": "0x0", "code": "0x5f5ffd"}}
    )
    network.world.transact(SENDER, network.weth, "deposit", value=9)
    network.world.transact(SENDER, network.weth, "transfer", REFUSER, 9)
    with pytest.raises(Reverted, match="TransferFailed"):
        network.world.ask(network.weth, network.weth.input("withdraw", 9), sender=REFUSER)


def test_names(network: Network) -> None:
    names = ("name", "symbol", "decimals")
    answers = [network.world.read(network.weth, name) for name in names]
    assert answers == ["Wrapped Ether", "WETH", 18]


class Holders(RuleBasedStateMachine):
    """Three accounts that wrap, unwrap, move and allow."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network.open()
        self.balances = [0, 0, 0]
        self.allowances = [[0] * 3 for _ in range(3)]

    def attempt(self, who: int, name: str, *arguments: object, value: int = 0) -> bool:
        """Whether it succeeded."""
        try:
            self.network.world.transact(
                HOLDERS[who], self.network.weth, name, *arguments, value=value
            )
        except Reverted:
            return False
        return True

    @rule(who=st.integers(0, 2), wad=st.integers(0, 100))
    def wrap(self, who: int, wad: int) -> None:
        assert self.attempt(who, "deposit", value=wad)
        self.balances[who] += wad

    @rule(who=st.integers(0, 2), wad=st.integers(0, 150))
    def unwrap(self, who: int, wad: int) -> None:
        may = wad <= self.balances[who]
        assert self.attempt(who, "withdraw", wad) == may
        self.balances[who] -= wad if may else 0

    @rule(who=st.integers(0, 2), spender=st.integers(0, 2), wad=st.integers(0, 150))
    def allow(self, who: int, spender: int, wad: int) -> None:
        assert self.attempt(who, "approve", address_of(HOLDERS[spender]), wad)
        self.allowances[who][spender] = wad

    @rule(
        who=st.integers(0, 2),
        source=st.integers(0, 2),
        receiver=st.integers(0, 2),
        wad=st.integers(0, 150),
    )
    def move(self, who: int, source: int, receiver: int, wad: int) -> None:
        is_own = who == source
        may = wad <= self.balances[source] and (is_own or wad <= self.allowances[source][who])
        moved = self.attempt(
            who, "transferFrom", address_of(HOLDERS[source]), address_of(HOLDERS[receiver]), wad
        )
        assert moved == may
        if may:
            self.balances[source] -= wad
            self.balances[receiver] += wad
            self.allowances[source][who] -= 0 if is_own else wad

    @invariant()
    def every_token_is_covered(self) -> None:
        assert [balance(self.network, account) for account in HOLDERS] == self.balances
        assert self.network.world.balance(addresses.WETH) == sum(self.balances)


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
