"""A running devnet as a test holds it: both chains, money, processes, faults.

    with devnet(...) as net:
        net.l1.url, net.accounts[0].private_key     what any tool needs
        net.deposit(10**18); net.withdraw(10**17)   across the bridge, followed to the end
        with net.broken("partition", groups=...):   broken, and healed however the block ends
        net.processes["sequencer"].kill()

Deliberately absent: asserting. A test asks, waits and judges by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.breaking import Answers, ask_each, check, concerned, entry_named
from deploy.layout import Layout
from deploy.lock import is_running
from deploy.network import Network, ProcessPlan, load_network
from deploy.observation import is_ready
from deploy.published import CHAIN_IDS, Layer as LayerName, contracts
from deploy.rendering import addresses_env, addresses_viem
from deploy.testing import crossing
from deploy.testing.layers import Layer
from deploy.testing.processes import Process, processes_of
from deploy.testing.starting import Running, start
from deploy.testing.waiting import DEADLINE_S, Found, wait_for

COMMAND_DEADLINE_S: Final = 900.0
"""A command line is never waited for longer: an attack takes minutes at times."""


Parameter = JsonValue | Sequence[str] | Sequence[Sequence[str]]
"""Of a fault or an attack; a partition's groups are lists of lists."""


class CommandFailed(Exception):
    """A command line that gave another exit code than 0; the message is what it printed."""


class NotBroken(Exception):
    """A fault that a process refused; the message says which process and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """An attack that was played to its end."""

    held: bool
    """Whether the network held."""
    summary: str
    """Why, in a sentence."""
    steps: Sequence[Mapping[str, JsonValue]]
    """What was done and seen: seconds, who (attacker or network), what."""


class Devnet:
    """A devnet that runs."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.network: Network = load_network(Layout(running.data))
        """What it was made with."""
        self.processes: Mapping[str, Process] = processes_of(self.network)
        """Its processes by name: validator-0 and so on, sequencer, bridge, watchtower."""
        self.accounts: Sequence[FundedAccount] = self.network.accounts
        """Funded accounts with their keys, 10,000 ETH each on both chains."""
        self.l1: Layer = self._layer("l1")
        """The proof-of-stake chain."""

    def __repr__(self) -> str:
        """As pytest shows it beside a failed test."""
        return f"<Devnet on {self.data}, L1 at {self.l1.url}>"

    @property
    def l2(self) -> Layer:
        """The rollup. Raises LookupError where there is none."""
        self._need_l2()
        return self._layer("l2")

    @property
    def data(self) -> Path:
        """Where its data and logs lie."""
        return self._running.data

    @property
    def environment(self) -> dict[str, str]:
        """What other programs need, as variables: L1_RPC_URL, L2_PORTAL_ADDRESS and so on, ACCOUNT_0_PRIVATE_KEY."""
        lines = (line.partition("=") for line in addresses_env(self.network).splitlines())
        found = {name: value for name, _, value in lines}
        for index, account in enumerate(self.accounts):
            found[f"ACCOUNT_{index}_ADDRESS"] = account.address
            found[f"ACCOUNT_{index}_PRIVATE_KEY"] = account.private_key
        for layer in (self.l1, *([self.l2] if self.has_l2 else [])):
            found[f"{layer.name.upper()}_WS_URL"] = layer.ws_url
        return found | {"FAULTLINE_DATA": str(self.data)}

    @property
    def viem(self) -> str:
        """A JavaScript module that exports both chains as viem takes them."""
        return addresses_viem(self.network)

    @property
    def has_l2(self) -> bool:
        """Whether there is a rollup."""
        return self.network.manifest.l2.enabled

    def deposit(
        self, amount: int, *, to: str | None = None, sender: int = 0, token: str | None = None
    ) -> crossing.Deposited:
        """Move wei, or units of a token, from L1 to L2; returns when L2 holds them.

        Args:
            amount: in the smallest unit.
            to: who gets it; the sender unless said.
            sender: which of the funded accounts pays.
            token: an ERC-20 token's address on either chain; its twin on L2 is made where there is none.

        Raises:
            DepositFailed, TransactionFailed, NoToken, RpcRefused, RpcUnavailable.
        """
        self._need_l2()
        return crossing.deposit(self.network, self.accounts[sender], amount, to, token)

    def withdraw(
        self, amount: int, *, to: str | None = None, sender: int = 0, token: str | None = None
    ) -> crossing.Withdrawal:
        """Begin to move wei, or units of a token, from L2 to L1; `settle()` of what it gives follows it to its end.

        Takes the arguments of `deposit` and raises the same, but WithdrawalFailed for DepositFailed.
        """
        self._need_l2()
        return crossing.withdraw(self.network, self.accounts[sender], amount, to, token)

    def break_(
        self, fault: str, *, on: str | Sequence[str] = (), **parameters: Parameter
    ) -> Answers:
        """Make a fault of the catalogue (`faultline break list`) happen.

        Args:
            fault: its name.
            on: processes that do it, or "all"; those in its groups, or the only one that can, unless said.
            **parameters: as the catalogue has them.

        Raises:
            CannotBreak: there is no such fault, a parameter is wrong, or a process cannot do it.
            NotBroken: a process refused, or does not answer; those that accepted are healed.
        """
        entry = entry_named(fault)
        given: dict[str, JsonValue] = orjson.loads(orjson.dumps(parameters))
        check(entry, given)
        targets = [on] if isinstance(on, str) else on
        plans = concerned(self.network, entry, given, targets)
        answers = ask_each(self.network, plans, "devnet_break", [fault, given])
        broken = [plan for plan in plans if not isinstance(answers[plan.name], Exception)]
        if len(broken) < len(plans):
            ask_each(self.network, broken, "devnet_heal", [fault])
        return _accepted(answers)

    def heal(self, fault: str | None = None) -> Answers:
        """End a fault, or all of them, in every process that answers. Raises NotBroken where a process refuses."""
        wanted: list[JsonValue] = [] if fault is None else [fault]
        running = [one.plan for one in self.processes.values() if one.pid is not None]
        return _accepted(ask_each(self.network, running, "devnet_heal", wanted))

    @contextmanager
    def broken(
        self, fault: str, *, on: str | Sequence[str] = (), **parameters: Parameter
    ) -> Iterator[None]:
        """Break something for the length of a block. Raises what `break_` and `heal` raise."""
        self.break_(fault, on=on, **parameters)
        try:
            yield
        finally:
            self.heal(fault)

    def attack(self, name: str, **parameters: Parameter) -> Played:
        """Play an attack of the red team (`faultline break list`) to its end.

        Raises:
            CommandFailed: there is no such attack, or it could not be played.
        """
        given = [f"{key}={_written(value)}" for key, value in parameters.items()]
        done = self._running.command("break", name, *given, "--json", deadline_s=COMMAND_DEADLINE_S)
        if not done.stdout.lstrip().startswith("{"):
            raise CommandFailed(f"break {name}: {(done.stderr or done.stdout).strip()}")
        played = orjson.loads(done.stdout)
        return Played(held=played["held"], summary=played["summary"], steps=played["steps"])

    def faultline(self, *arguments: str, deadline_s: float = COMMAND_DEADLINE_S) -> str:
        """Run a command of the command line tool on it; gives what it printed. Raises CommandFailed."""
        done = self._running.command(*arguments, deadline_s=deadline_s)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def stop(self) -> None:
        """Stop everything and keep the data; `start` goes on with both chains."""
        self._running.down()

    def start(self) -> None:
        """Go on after `stop`; returns when it is ready. Raises StartFailed."""
        self._running.up()

    def recover(self) -> None:
        """Heal every fault, start every process that is down, and wait until all are ready. Raises NotInTime."""
        if not is_running(self.network.layout):
            self.start()
        for process in self.processes.values():
            if process.pid is None:
                process.start()
        self.heal()
        self.wait_until_ready()

    def summary(self) -> str:
        """Where its logs lie, which processes are not ready, and what is broken: for whoever reads of a failed test."""
        lines = [f"logs: {self.network.layout.logs}"]
        for name, process in self.processes.items():
            ready, reason = is_ready(process.metrics_url)
            if not ready:
                lines.append(f"{name} is not ready: {reason}")
        broken = ask_each(self.network, self._plans(), "devnet_breaks", [])
        lines += [
            f"{name} is broken: {orjson.dumps(one).decode()}"
            for name, one in broken.items()
            if one and not isinstance(one, Exception)  # Who does not answer is not ready, as said.
        ]
        return "\n".join(lines)

    def _plans(self) -> list[ProcessPlan]:
        return [process.plan for process in self.processes.values()]

    def wait_until_ready(self, deadline_s: float = DEADLINE_S) -> None:
        """Wait until every process follows its chain. Raises NotInTime."""
        for process in self.processes.values():
            process.wait_until_ready(deadline_s)

    def wait_for(
        self, what: str, attempt: Callable[[], Found | None], deadline_s: float = DEADLINE_S
    ) -> Found:
        """Ask again until `attempt` gives something that counts as true. Raises NotInTime with what was waited for."""
        return wait_for(what, attempt, deadline_s)

    def _layer(self, name: LayerName) -> Layer:
        return Layer(
            name=name,
            chain_id=CHAIN_IDS[name],
            urls={plan.name: self.network.rpc_url(plan) for plan in self.network.of_layer(name)},
            contracts=contracts(with_l2=self.has_l2)[name],
        )

    def _need_l2(self) -> None:
        if not self.has_l2:
            raise LookupError("this devnet has no L2 (l2.enabled = false)")


@contextmanager
def devnet(
    *,
    manifest: Path | str | None = None,
    settings: Mapping[str, JsonValue] | None = None,
    l2: bool | None = None,
    validators: int | None = None,
    slot_seconds: int | None = None,
    data: Path | str | None = None,
    port_offset: int | None = None,
    keep: bool = False,
) -> Iterator[Devnet]:
    """A devnet of its own, ready when the block begins and gone when it ends, also when this process is killed.

    Args:
        manifest: a faultline.toml; defaults unless said.
        settings: keys of the manifest as {"bridge.challenge_window_s": 6}; they win over it.
        l2: whether there are a rollup and a bridge; the manifest says unless this does.
        validators: number of validator keys, likewise.
        slot_seconds: seconds a slot lasts, likewise.
        data: where its data lies and stays; a folder that is deleted at the end unless said.
        port_offset: added to every port; free ports unless said.
        keep: whether the folder stays; `Devnet.data` says where it is.

    Raises:
        WrongSettings: the manifest cannot be used.
        StartFailed: it does not start; the message ends with the last lines of its logs.
    """
    given: dict[str, JsonValue] = {
        "l2.enabled": l2,
        "network.validators": validators,
        "network.slot_seconds": slot_seconds,
    }
    running = start(
        manifest=None if manifest is None else Path(manifest).expanduser().resolve(),
        settings={name: value for name, value in given.items() if value is not None}
        | dict(settings or {}),
        data=None if data is None else Path(data),
        port_offset=port_offset,
        keeps=keep,
    )
    try:
        yield Devnet(running)
    finally:
        running.end()


def attach(data: Path | str) -> Devnet:
    """A devnet that somebody else started and ends: `faultline up`, an earlier step of a workflow.

    Raises:
        NetworkError: no devnet was ever made there.
    """
    folder = Path(data).expanduser().resolve()
    return Devnet(Running(folder=folder, data=folder, keeps=True))


def _accepted(answers: Answers) -> Answers:
    refused = {name: one for name, one in answers.items() if isinstance(one, Exception)}
    if refused:
        raise NotBroken("; ".join(f"{name}: {error}" for name, error in refused.items()))
    return answers


def _written(value: Parameter) -> str:
    """A parameter as the command line takes it."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
