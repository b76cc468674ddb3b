"""Moving ETH and tokens between the chains from a test: the commands' own functions, without a terminal.

amount, account -> deploy.depositing -> Deposited
amount, account -> deploy.withdrawing -> Withdrawal -> settle -> paid on L1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deploy.accounts import FundedAccount
from deploy.chains import Chain
from deploy.depositing import follow, gas_for, send, send_token
from deploy.network import Network
from deploy.published import Layer, contracts
from deploy.tokens import NoToken, create_twin, token_of
from deploy.withdrawing import (
    SETTLED_DEADLINE_S,
    Chains,
    Initiated,
    Report,
    WithdrawalFailed,
    ask_relayer,
    initiate,
    initiate_token,
    settle,
    standing,
)

FOLLOWS_GAMES: Final = ("bridge", "watchtower")
"""Roles that know where withdrawals stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    """A deposit that L2 holds."""

    l1_transaction: str
    """Hash of the call on L1."""
    l1_block: int
    """Number of the block that holds it."""
    l2_transaction: str
    """Hash of the transaction that it became on L2."""
    l2_block: int
    """Number of the block that holds that."""
    succeeded: bool
    """Whether it did what it should; the amount is the sender's either way."""
    l2_token: str | None
    """The token's twin on L2; None for ETH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A withdrawal that L2 holds."""

    initiated: Initiated
    """The message, and the L2 transaction and block that hold it."""
    _chains: Chains
    _sender: FundedAccount

    @property
    def name(self) -> str:
        """Its hash, by which `rollup_withdrawal` and `faultline withdrawals` know it."""
        return self.initiated.name

    def report(self) -> Report:
        """Where it stands, as `rollup_withdrawal` tells it. Raises WithdrawalFailed, RpcRefused, RpcUnavailable."""
        return standing(self._chains.games, self.name)

    def settle(self, deadline_s: float = SETTLED_DEADLINE_S) -> Report:
        """Prove and finalize it with the sender's own key; returns when it is paid. Raises WithdrawalFailed."""
        return settle(self._chains, self.name, self._sender, lambda _: None, deadline_s)

    def relay(self, deadline_s: float = SETTLED_DEADLINE_S) -> Report:
        """Have the bridge's relayer settle it instead; returns when it is paid.

        Raises:
            WithdrawalFailed: the relayer refuses, or it is not paid in time.
        """
        standing(self._chains.games, self.name)
        refusal = ask_relayer(self._chains.games, self.name)
        if refusal is not None:
            raise WithdrawalFailed(f"the relayer does not settle {self.name}: {refusal}")
        return settle(self._chains, self.name, None, lambda _: None, deadline_s)


def deposit(
    network: Network, sender: FundedAccount, amount: int, to: str | None, token: str | None
) -> Deposited:
    """Deposit, and wait until L2 holds it. Raises DepositFailed, TransactionFailed, NoToken, RpcRefused, RpcUnavailable."""
    l1, l2 = _chain(network, "l1"), _chain(network, "l2")
    portal = contracts(with_l2=True)["l1"]["portal"]
    receiver = to or sender.address
    twin: str | None = None
    if token is None:
        transaction = send(l1, portal, sender, receiver, amount, gas_for(l2, receiver))
    else:
        found = token_of(l1, l2, token)
        if found.on_l2 is None:
            found = create_twin(l2, sender, found)
        twin = found.on_l2
        transaction = send_token(l1, sender, receiver, found, amount)
    arrived = follow(l1, l2, transaction, portal, lambda _: None)
    return Deposited(
        l1_transaction=arrived.l1_transaction,
        l1_block=arrived.l1_block,
        l2_transaction=arrived.l2_transaction,
        l2_block=arrived.l2_block,
        succeeded=arrived.succeeded,
        l2_token=twin,
    )


def withdraw(
    network: Network, sender: FundedAccount, amount: int, to: str | None, token: str | None
) -> Withdrawal:
    """Begin a withdrawal. Raises TransactionFailed, NoToken, RpcRefused, RpcUnavailable."""
    l1, l2 = _chain(network, "l1"), _chain(network, "l2")
    receiver = to or sender.address
    if token is None:
        initiated = initiate(l2, sender, receiver, amount)
    else:
        found = token_of(l1, l2, token)
        if found.on_l2 is None:
            raise NoToken(f"{found.symbol} ({found.on_l1}) was never deposited: L2 has none of it")
        initiated = initiate_token(l2, sender, receiver, found, amount)
    chains = Chains(l1=l1, l2=l2, games=Chain(_games(network)))
    return Withdrawal(initiated=initiated, _chains=chains, _sender=sender)


def _chain(network: Network, layer: Layer) -> Chain:
    return Chain([network.rpc_url(plan) for plan in network.of_layer(layer)])


def _games(network: Network) -> list[str]:
    """Who knows where withdrawals stand. Raises LookupError."""
    plans = [plan for plan in network.of_layer("l2") if plan.role in FOLLOWS_GAMES]
    if not plans:
        raise LookupError("this devnet has no bridge and no watchtower (bridge.enabled = false)")
    return [network.rpc_url(plan) for plan in plans]
