"""Everything that `import faultline` offers, from the modules that it is made in.

with faultline.devnet() as net:
    net.l1.url, net.l2.url, net.accounts[0].private_key
    with net.broken("partition", groups=[["validator-0", "validator-1"], ["validator-2", "validator-3"]]):
        ...
"""

from __future__ import annotations

from typing import Final

from deploy.accounts import FundedAccount
from deploy.breaking import CannotBreak
from deploy.chains import TransactionFailed
from deploy.control import NotRunning, Refused
from deploy.depositing import DepositFailed
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.network import NetworkError
from deploy.testing.crossing import Deposited, Withdrawal
from deploy.testing.devnet import CommandFailed, Devnet, NotBroken, Played, attach, devnet
from deploy.testing.layers import Layer
from deploy.testing.processes import Process
from deploy.testing.starting import StartFailed, StopFailed, WrongSettings
from deploy.testing.waiting import NotInTime, wait_for
from deploy.tokens import NoToken
from deploy.withdrawing import WithdrawalFailed

ETHER: Final = 10**18
"""Wei of one ETH."""

__all__ = [
    "ETHER",
    "CannotBreak",
    "CommandFailed",
    "DepositFailed",
    "Deposited",
    "Devnet",
    "FundedAccount",
    "Layer",
    "NetworkError",
    "NoToken",
    "NotBroken",
    "NotInTime",
    "NotRunning",
    "Played",
    "Process",
    "Refused",
    "RpcRefused",
    "RpcUnavailable",
    "StartFailed",
    "StopFailed",
    "TransactionFailed",
    "Withdrawal",
    "WithdrawalFailed",
    "WrongSettings",
    "attach",
    "devnet",
    "wait_for",
]
