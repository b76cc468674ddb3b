"""A stage in memory: an L1 of real contracts, an L2 of scripted answers, processes that only remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.adversaries.stage import Rpc, Speaker, Stage
from deploy.bridge_terms import bridge_terms
from deploy.derivation import mnemonic_accounts
from deploy.keys import RollupSecrets, new_rollup
from deploy.manifest import Manifest
from deploy.rollup_genesis import rollup_parameters
from tests.kit.rpc_chain import RpcChain


@dataclass
class RememberedProcesses:
    """Processes that do as they are told and nothing else."""

    running: set[str] = field(default_factory=lambda: {"bridge", "watchtower"})
    """Those that run."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """What was asked of whom."""

    def stop(self, name: str) -> None:
        self.asked.append(("stop", name))
        self.running.discard(name)

    def start(self, name: str) -> None:
        self.asked.append(("start", name))
        self.running.add(name)

    def unready(self) -> str:
        return ""


@dataclass
class Told:
    """What was told."""

    lines: list[tuple[Speaker, str]] = field(default_factory=list)
    """Who and what."""

    def __call__(self, speaker: Speaker, line: str) -> None:
        self.lines.append((speaker, line))

    def of(self, speaker: Speaker) -> list[str]:
        """What one of the two did."""
        return [line for who, line in self.lines if who is speaker]


@dataclass
class Clock:
    """Time that passes when somebody waits; every wait is a block of L1."""

    l1: RpcChain
    """Grows."""
    now_s: float = 0.0
    """Seconds."""

    def now(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        del seconds
        self.now_s += 2.0
        self.l1.mine()


def stage_on(
    l1: RpcChain,
    l2: Rpc,
    *,
    secrets: RollupSecrets | None = None,
    accounts: int = 3,
) -> tuple[Stage, Told, RememberedProcesses]:
    """A stage, what is told on it, and its processes."""
    told, processes, clock = Told(), RememberedProcesses(), Clock(l1)
    manifest = Manifest()
    keys = secrets or new_rollup([])
    stage = Stage(
        l1=l1,
        l1_nodes={"validator-0": l1},
        l2=l2,
        accounts=tuple(mnemonic_accounts(accounts)),
        guardian=keys.guardian_account,
        processes=processes,
        terms=bridge_terms(manifest),
        parameters=rollup_parameters(manifest, keys),
        slot_seconds=manifest.network.slot_seconds,
        tell=told,
        now=clock.now,
        pause=clock.pause,
    )
    return stage, told, processes


def funded(accounts: int = 3) -> Mapping[str, object]:
    """Genesis accounts of a stage."""
    return {
        account.address: {"balance": hex(10_000 * 10**18)}
        for account in mnemonic_accounts(accounts)
    }
