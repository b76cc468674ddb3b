"""A real bridge process: what an L2 process opens and serves, and the bridge beside it.

    BridgeConfig -> keys -> sequencer.app.opening (as a replica) -> BridgeNode -> sequencer.app.serving

Everything is opened before any port is bound, and closed in the opposite order however it ends.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

import trio

from bridge.app.core import Accounts, BridgeNode, Surroundings
from bridge.app.supply import genesis_supply
from bridge.config import BridgeConfig
from bridge.proposing.service import ProposerOptions
from bridge.sending.journal import JournalError
from bridge.sending.options import SendingOptions
from node.app.failures import SetupError
from node.app.stepping import read_file
from node.consensus.genesis import Genesis
from node.contracts.addresses import DISPUTE_GAME_FACTORY
from node.rollup.parameters import RollupParameters
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.runtime.worker import ThreadWorker
from node.storage.sqlite_file import HeldElsewhere
from sequencer.app.core import ReplicaRole
from sequencer.app.files import read_account
from sequencer.app.opening import OpenedL2, open_l2
from sequencer.app.serving import open_health, open_rpc, run_l2
from sequencer.batching.fees import FeeLimits
from sequencer.batching.signing import L1Account

WORKER_THREADS: Final = 2
"""Asking L1's contracts, simulating, proving: a proof must not wait behind a look."""


async def run_bridge(
    config: BridgeConfig, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one bridge process until cancelled; started once every port is bound.

    Raises SetupError, Corruption.
    """

    def read_role(_genesis: Genesis, _parameters: RollupParameters) -> ReplicaRole:
        return ReplicaRole(sequencer=config.forward_to)

    with ExitStack() as closing:
        opened = await open_l2(
            config,
            closing,
            read_role=read_role,
            faults=FaultBoard(faults_of(fault_role(config))),
        )
        bridge = open_bridge(config, opened, closing)
        health = open_health(opened)
        health.checks.update(bridge.lags())
        await run_l2(
            opened,
            open_rpc(opened, bridge.view),
            health,
            bridge.run,
            kind="+".join(bridge.roles) or "replica",
            task_status=task_status,
        )


def open_bridge(config: BridgeConfig, opened: OpenedL2, closing: ExitStack) -> BridgeNode:
    """The bridge beside an opened replica. Raises SetupError, Corruption."""
    chain_id = opened.genesis.chain_id
    head = opened.l1.chain.head.header
    if not opened.l1_engine.code(head.state_root, DISPUTE_GAME_FACTORY):
        raise SetupError(
            f"{config.genesis_file}: no contract at 0x{DISPUTE_GAME_FACTORY.hex()}: "
            "this network has no games to follow"
        )
    folder = config.data_dir / "bridge"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    accounts = Accounts(
        proposer=read_account(config.proposer_key_file, "proposer_key_file", chain_id),
        relayer=read_account(config.relayer_key_file, "relayer_key_file", chain_id),
        challenger=read_account(config.challenger_key_file, "challenger_key_file", chain_id),
    )
    check_accounts(accounts, read_account(config.forcer_key_file, "forcer_key_file", chain_id))
    try:
        return BridgeNode(
            Surroundings(
                parameters=opened.parameters,
                genesis_supply_wei=genesis_supply(read_file(config.l2_genesis_file)),
                slot_seconds=opened.genesis.parameters.slot_seconds,
                l1=opened.l1,
                l1_engine=opened.l1_engine,
                rollup=opened.rollup,
                engine=opened.engine,
                clock=opened.clock,
                worker=ThreadWorker(threads_max=WORKER_THREADS),
                registry=opened.registry,
                faults=opened.rollup.faults,
                folder=folder,
                accounts=accounts,
                proposing=ProposerOptions(
                    interval_ms=config.proposer.interval_ms,
                    games_at_start=config.proposer.games_at_start,
                    open_games_max=config.proposer.open_games_max,
                ),
                sending=SendingOptions(
                    in_flight_max=config.l1_fees.in_flight_max,
                    fees=FeeLimits(
                        tip_wei=config.l1_fees.tip_wei, max_fee_wei=config.l1_fees.max_fee_wei
                    ),
                ),
            ),
            closing,
        )
    except (JournalError, HeldElsewhere) as error:
        raise SetupError(str(error)) from error


def check_accounts(accounts: Accounts, forcer: L1Account | None) -> None:
    """One account for each role: two senders would take each other's nonces. Raises SetupError."""
    named = {
        "proposer_key_file": accounts.proposer,
        "relayer_key_file": accounts.relayer,
        "challenger_key_file": accounts.challenger,
        "forcer_key_file": forcer,
    }
    seen: dict[bytes, str] = {}
    for key, account in named.items():
        if account is None:
            continue
        other = seen.setdefault(account.address, key)
        if other != key:
            raise SetupError(f"{key}: the account of {other}; each has one of its own")


def fault_role(config: BridgeConfig) -> str:
    """As whom faults are asked for: a process that challenges and does not propose is a watchtower."""
    is_watchtower = config.challenger_key_file is not None and config.proposer_key_file is None
    return "watchtower" if is_watchtower else "bridge"
