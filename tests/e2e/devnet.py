"""A devnet of real processes, started the way a user starts it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import orjson

from deploy.layout import Layout
from deploy.network import load_network
from deploy.testing.processes import Process, processes_of

BASE_PORTS = [
    *range(8545, 8561),
    *range(9000, 9016),
    *range(9100, 9116),
    *range(9545, 9548),
    *range(9050, 9053),
    *range(9150, 9153),
    8600,
]
"""Every port that a devnet may bind at offset 0."""

FOLLOWERS = ("sequencer", "bridge", "watchtower")
"""Who follows L1 without voting: a partition that leaves them out is bridged by them."""

DEADLINE_S = 180.0
"""The longest wait for any condition; machines are slow at times."""


Found = TypeVar("Found")


def wait_for(
    what: str, attempt: Callable[[], Found | None], deadline_s: float = DEADLINE_S
) -> Found:
    """Ask again until `attempt` gives something; raises with what was waited for."""
    end = time.monotonic() + deadline_s
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:.0f} s in vain for {what}")
        time.sleep(0.1)  # noqa: TID251  # a test beside real processes has no loop


def free_port_offset() -> int:
    """An offset at which all ports are free now."""
    for _ in range(100):
        offset = random.randrange(1_000, 23_000, 20)  # below what systems give to clients
        if all(is_free(port + offset) for port in BASE_PORTS):
            return offset
    raise AssertionError("no free range of ports")


def is_free(port: int) -> bool:
    """Whether nobody holds a port of this machine now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class RpcFailure(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, error: dict[str, object]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = str(error.get("message"))


@dataclass(kw_only=True)
class Devnet:
    """One devnet in a folder of its own."""

    data: Path
    """Its data."""
    offset: int = field(default_factory=free_port_offset)
    """Added to every port."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `faultline up`."""
    with_l2: bool = False
    """Whether it has a sequencer, a bridge and a watchtower; tests of the L1 do without."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further keys of its manifest, as environment variables."""

    def faultline(
        self, *arguments: str, check: bool = True, timeout_s: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line tool on this devnet."""
        command = [sys.executable, "-m", "deploy.cli", *arguments, "--data", str(self.data)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={
                **os.environ,
                "FAULTLINE_L2_ENABLED": str(self.with_l2).lower(),
                **self.settings,
            },
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def up(self) -> None:
        """Start it and wait until it is ready."""
        self.faultline(
            "up", "--detach", "--quiet", "--port-offset", str(self.offset), *self.arguments
        )

    def down(self) -> None:
        """Stop it."""
        self.faultline("down")

    def status(self) -> dict[str, object]:
        """What `faultline status --json` prints."""
        loaded: dict[str, object] = orjson.loads(self.faultline("status", "--json").stdout)
        return loaded

    def rpc_url(self, validator: int = 0) -> str:
        """Where a validator's JSON-RPC is."""
        return f"http://127.0.0.1:{8545 + validator + self.offset}"

    def ws_url(self, validator: int = 0) -> str:
        """The same over WebSocket."""
        return f"ws://127.0.0.1:{8545 + validator + self.offset}"

    def rpc(self, method: str, *parameters: object, validator: int = 0) -> object:
        """One call. Raises RpcFailure, OSError."""
        return _call(self.rpc_url(validator), method, parameters)

    def number(self, tag: str = "latest", validator: int = 0) -> int:
        """Number of a tagged block."""
        return _number(self.rpc("eth_getBlockByNumber", tag, False, validator=validator))

    def metrics(self, validator: int = 0) -> dict[str, float]:
        """Every sample of a process, by its name with labels."""
        return _metrics(9100 + validator + self.offset)

    def l2_url(self, replica: int | None = None) -> str:
        """Where the sequencer's JSON-RPC is, or that of another who derives the L2, counted from 0: the bridge's first."""
        return f"http://127.0.0.1:{9545 + _place(replica) + self.offset}"

    def l2_ws_url(self, replica: int | None = None) -> str:
        """The same over WebSocket."""
        return f"ws://127.0.0.1:{9545 + _place(replica) + self.offset}"

    def l2_rpc(self, method: str, *parameters: object, replica: int | None = None) -> object:
        """One call of the sequencer, or of a replica. Raises RpcFailure, OSError."""
        return _call(self.l2_url(replica), method, parameters)

    def l2_number(self, tag: str = "latest", replica: int | None = None) -> int:
        """Number of a tagged L2 block."""
        return _number(self.l2_rpc("eth_getBlockByNumber", tag, False, replica=replica))

    def l2_metrics(self, replica: int | None = None) -> dict[str, float]:
        """Every sample of the sequencer, or of a replica."""
        return _metrics(9150 + _place(replica) + self.offset)

    def process(self, name: str) -> Process:
        """One of its processes."""
        return processes_of(load_network(Layout(self.data)))[name]

    def addresses(self) -> dict[str, dict[str, str]]:
        """Contracts by layer and name."""
        printed = orjson.loads(self.faultline("addresses", "--json").stdout)
        contracts: dict[str, dict[str, str]] = printed["contracts"]
        return contracts

    def has_finalized(self, number: int, validator: int) -> bool:
        """Whether a validator has finalized a block of at least this number."""
        return self.number("finalized", validator) >= number

    def wait_for_final(self, number: int, validators: int = 4) -> None:
        """Wait until every validator has finalized a block number."""
        for validator in range(validators):
            wait_for(
                f"validator-{validator} to finalize block {number}",
                partial(self.has_finalized, number, validator),
            )

    def kill_process(self, name: str) -> int:
        """SIGKILL a process, so that its supervisor starts it again; gives the process id that it had."""
        pid = self.process(name).pid
        assert pid is not None, f"{name} runs"
        os.kill(pid, signal.SIGKILL)
        return pid

    def restarted(self) -> list[str]:
        """Processes that ended by themselves and were started again."""
        processes = processes_of(load_network(Layout(self.data))).values()
        return [process.name for process in processes if process.status()["restarts"] != 0]

    def has_restarted(self, name: str, before: int) -> bool:
        """Whether a process runs, as another one than before."""
        return self.process(name).pid not in (None, before)


def _place(replica: int | None) -> int:
    return 0 if replica is None else 1 + replica


def _call(url: str, method: str, parameters: tuple[object, ...]) -> object:
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        decoded = orjson.loads(answer.read())
    if "error" in decoded:
        raise RpcFailure(decoded["error"])
    result: object = decoded["result"]
    return result


def _number(block: object) -> int:
    assert isinstance(block, dict)
    return int(block["number"], 16)


def _metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in samples}


@contextmanager
def running_devnet(folder: Path, *arguments: str, with_l2: bool = False) -> Iterator[Devnet]:
    """A devnet that is up; stopped at the end whatever happens."""
    devnet = Devnet(data=folder / "devnet", arguments=arguments, with_l2=with_l2)
    devnet.up()
    try:
        yield devnet
    finally:
        devnet.faultline("down", check=False)
