"""The processes of a running devnet, as a test kills them, stops them and reads what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from deploy.chains import json_object
from deploy.control import Action, Request, ask
from deploy.json_rpc import RpcUnavailable, call, request
from deploy.network import Network, ProcessPlan
from deploy.observation import is_ready
from deploy.testing.layers import CALL_DEADLINE_S
from deploy.testing.waiting import DEADLINE_S, wait_for

ANSWER_DEADLINE_S = 60.0
"""The supervisor has done what it was asked by then; stopping a process takes it a few seconds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a devnet."""

    network: Network
    """The devnet it belongs to."""
    plan: ProcessPlan
    """Who it is and where it is found."""

    @property
    def name(self) -> str:
        """As in validator-0."""
        return self.plan.name

    @property
    def url(self) -> str:
        """JSON-RPC over HTTP."""
        return self.network.rpc_url(self.plan)

    @property
    def metrics_url(self) -> str:
        """/metrics, /healthz and /readyz lie below it."""
        return self.network.metrics_url(self.plan)

    def rpc(self, method: str, *parameters: JsonValue) -> JsonValue:
        """Call a method. Raises RpcRefused, RpcUnavailable."""
        return call(self.url, method, *parameters, timeout_s=CALL_DEADLINE_S)

    def kill(self) -> None:
        """End it as a crash would; it stays down until it is started. Raises Refused, NotRunning."""
        self._command("kill")

    def stop(self) -> None:
        """Stop it cleanly; returns when it has ended. Raises Refused, NotRunning."""
        self._command("stop")

    def start(self, deadline_s: float = DEADLINE_S) -> None:
        """Start it, and wait until it follows the chain. Raises Refused, NotRunning, NotInTime."""
        self._command("start")
        self.wait_until_ready(deadline_s)

    def restart(self, deadline_s: float = DEADLINE_S) -> None:
        """Stop it cleanly, start it, and wait until it follows the chain. Raises Refused, NotRunning, NotInTime."""
        self._command("restart")
        self.wait_until_ready(deadline_s)

    def is_ready(self) -> bool:
        """Whether it answers and follows the chain."""
        ready, _ = is_ready(self.metrics_url)
        return ready

    def wait_until_ready(self, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it follows the chain. Raises NotInTime."""
        wait_for(f"{self.name} to be ready", self.is_ready, deadline_s)

    def status(self) -> dict[str, JsonValue]:
        """What its supervisor knows: state, pid, restarts, uptimeSeconds, lastEnd. Raises Refused, NotRunning."""
        answer = json_object(self._command("status", ""))
        processes = answer["processes"]
        assert isinstance(processes, list)
        found = [json_object(one) for one in processes]
        return next(one for one in found if one["name"] == self.name)

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        pid = self.status()["pid"]
        return pid if isinstance(pid, int) else None

    def metrics(self) -> dict[str, float]:
        """Every sample that Prometheus would scrape, by name with labels. Raises RpcUnavailable."""
        status, body = request(f"{self.metrics_url}/metrics", "GET", timeout_s=CALL_DEADLINE_S)
        if status != 200:
            raise RpcUnavailable(f"{self.metrics_url}/metrics: HTTP {status}")
        lines = body.decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def log(self) -> str:
        """What it has said, one JSON object a line; the part before the last rotation is not in it."""
        file = self.network.layout.log(self.name)
        return file.read_text(errors="replace") if file.exists() else ""

    def _command(self, action: Action, process: str | None = None) -> JsonValue:
        asked = Request(action=action, process=self.name if process is None else process)
        return ask(self.network.layout, asked, deadline_s=ANSWER_DEADLINE_S)


def processes_of(network: Network) -> Mapping[str, Process]:
    """Every process of a network, by name."""
    return {plan.name: Process(network=network, plan=plan) for plan in network.processes()}
