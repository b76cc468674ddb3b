"""The half of `faultline break` that plays attacks: builds the stage, shows what happens, tells the verdict.

    NAME key=value ... -> parameters checked -> Stage -> attack, line by line -> Verdict -> everything ready again?

Deliberately absent: the attacks (deploy.adversaries).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import click
import orjson
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.adversaries.acting import Reverted
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.stage import AttackFailed, Speaker, Stage, Verdict
from deploy.bridge_terms import bridge_terms
from deploy.chains import Chain
from deploy.commands.options import CommandFailed, WrongUse, print_json
from deploy.commands.running import asked
from deploy.derivation import account_of
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.network import Network
from deploy.observation import is_alive, is_ready
from deploy.published import Layer
from node.rollup.parameters import RollupParameters, parse

HEALTHY_DEADLINE_S: Final = 120.0
"""Everything is ready again by then."""

BY_HAND_DEADLINE_S: Final = 120.0
"""Somebody who is asked to stop a container has done so by then."""

LOOK_EVERY_S: Final = 0.2
"""How often the processes are asked."""

_Tell = Callable[[Speaker, str], None]

_SPEAKER_COLOURS: Final[Mapping[Speaker, str]] = {
    Speaker.ATTACKER: "red",
    Speaker.NETWORK: "cyan",
}


@dataclass(frozen=True, slots=True)
class DevnetProcesses:
    """The processes of a devnet: a supervisor stops them, or whoever has docker does, by hand."""

    network: Network
    """The devnet."""

    def stop(self, name: str) -> None:
        """Stop one; returns when it has ended. Raises AttackFailed when nobody stops it."""
        if self.network.placement == "machine":
            asked(self.network.layout, "stop", name)
            return
        [plan] = [plan for plan in self.network.processes() if plan.name == name]
        _to_be_typed(f"docker compose stop {name}")
        end = time.monotonic() + BY_HAND_DEADLINE_S
        while is_alive(self.network.metrics_url(plan)):
            if time.monotonic() > end:
                raise AttackFailed(f"{name} was not stopped within {BY_HAND_DEADLINE_S:g} s")
            time.sleep(LOOK_EVERY_S)  # noqa: TID251  # a command without a loop

    def start(self, name: str) -> None:
        """Start one; returns once it has been asked for."""
        if self.network.placement == "machine":
            asked(self.network.layout, "start", name)
        else:
            _to_be_typed(f"docker compose start {name}")

    def unready(self) -> str:
        """Which of them are not ready and why; empty if all are."""
        reasons = []
        for plan in self.network.processes():
            ready, reason = is_ready(self.network.metrics_url(plan))
            if not ready:
                reasons.append(f"{plan.name}: {reason}")
        return "; ".join(reasons)


def _to_be_typed(command: str) -> None:
    """Containers are docker's: no process in one may stop another."""
    click.echo(f"          now, in another terminal:  {command}", err=True)


def play(network: Network, attack: Attack, given: Mapping[str, JsonValue], *, as_json: bool) -> int:
    """Play an attack on a devnet that runs; gives the exit code. Raises WrongUse, CommandFailed."""
    try:
        values = attack.read(given)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    if not network.manifest.l2.enabled:
        raise CommandFailed(
            "this devnet has no L2 (l2.enabled = false), so there is nothing to claim"
        )
    if not network.manifest.faults.enabled:
        raise CommandFailed("this devnet must not be broken (faults.enabled = false)")
    started = time.monotonic()
    processes = DevnetProcesses(network)
    if reasons := processes.unready():
        raise CommandFailed(f"not played: the devnet is not healthy to begin with: {reasons}")
    lines: list[JsonValue] = []

    def tell(speaker: Speaker, line: str) -> None:
        elapsed_s = time.monotonic() - started
        lines.append({"seconds": round(elapsed_s, 2), "who": str(speaker), "what": line})
        if not as_json:
            who = click.style(f"{speaker:<8}", fg=_SPEAKER_COLOURS[speaker])
            click.echo(f"{elapsed_s:6.1f} s  {who}  {line}")

    stage = stage_of(network, processes, tell)
    if not as_json:
        click.echo(f"{attack.name}: {attack.summary}")
    verdict = _played(stage, attack, values)
    verdict = _judged(verdict, _wait_until_healthy(processes))
    if as_json:
        print_json(
            {
                "name": attack.name,
                "held": verdict.held,
                "summary": verdict.summary,
                "steps": lines,
                "seconds": round(time.monotonic() - started, 2),
            }
        )
    else:
        word = click.style("held", fg="green") if verdict.held else click.style("BROKEN", fg="red")
        click.echo(f"{time.monotonic() - started:6.1f} s  verdict   {word}: {verdict.summary}")
    return 0 if verdict.held else 1


def stage_of(network: Network, processes: DevnetProcesses, tell: _Tell) -> Stage:
    """What an adversary of a devnet stands on."""
    return Stage(
        l1=_chain(network, "l1"),
        l1_nodes={plan.name: Chain([network.rpc_url(plan)]) for plan in network.of_layer("l1")},
        l2=_chain(network, "l2"),
        accounts=network.accounts,
        guardian=_guardian(network),
        processes=processes,
        terms=bridge_terms(network.manifest),
        parameters=_parameters(network),
        slot_seconds=network.manifest.network.slot_seconds,
        tell=tell,
        now=time.monotonic,
        pause=time.sleep,  # noqa: TID251  # a command without a loop
    )


def _played(stage: Stage, attack: Attack, values: Values) -> Verdict:
    try:
        return attack.run(stage, values)
    except (AttackFailed, Reverted, RpcRefused, RpcUnavailable) as error:
        raise CommandFailed(f"{attack.name} could not be played to its end: {error}") from error
    finally:
        stage.clean_up()


def _wait_until_healthy(processes: DevnetProcesses) -> str:
    """What is still not ready after a while; empty if everything is."""
    end = time.monotonic() + HEALTHY_DEADLINE_S
    while reasons := processes.unready():
        if time.monotonic() > end:
            return reasons
        time.sleep(LOOK_EVERY_S)  # noqa: TID251  # a command without a loop
    return ""


def _judged(verdict: Verdict, reasons: str) -> Verdict:
    """The verdict with the network's health after the attack."""
    if not reasons:
        return verdict
    return Verdict(held=False, summary=f"{verdict.summary} But afterwards: {reasons}")


def _chain(network: Network, layer: Layer) -> Chain:
    return Chain([network.rpc_url(plan) for plan in network.of_layer(layer)])


def _guardian(network: Network) -> FundedAccount | None:
    try:
        key = network.layout.guardian_key.read_text()
    except (FileNotFoundError, PermissionError):
        return None
    return account_of(bytes.fromhex(key))


def _parameters(network: Network) -> RollupParameters:
    return parse(orjson.loads(network.layout.genesis.read_bytes())["rollup"])
