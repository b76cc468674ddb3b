"""`faultline exec -- COMMAND`: a devnet for the length of a command, whatever language that is written in.

    free ports -> devnet -> COMMAND with L1_RPC_URL, ACCOUNT_0_PRIVATE_KEY ... in its environment -> its exit code -> devnet gone

For test suites and continuous integration: hardhat, forge, vitest, cargo and the others start no devnet of their own and name no port.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click

from deploy.commands.options import FILE, FOLDER, CommandFailed, WrongUse
from deploy.commands.preparing import refuse_containers
from deploy.layout import find_layout
from deploy.testing.devnet import Devnet, devnet
from deploy.testing.starting import StartFailed, StopFailed, WrongSettings

NOT_FOUND_EXIT: Final = 127
"""What shells give for a command that is not there."""

SIGNAL_EXIT: Final = 128
"""What shells add to the signal that ended a command."""

HEARD: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""What ends us: somebody, a terminal that is closed, Ctrl-C."""

IN_A_CONTAINER: Final = "docker run --rm faultline:local faultline exec -- COMMAND"
"""Beside a devnet in containers there is room for commands to it, not for seven processes more."""


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--manifest",
    type=FILE,
    metavar="FILE",
    help="Manifest of the devnet; a faultline.toml that lies about is not read.",
)
@click.option(
    "--logs",
    type=FOLDER,
    metavar="DIR",
    help="Copy the logs of all processes here if the command fails.",
)
@click.option("--keep", is_flag=True, help="Keep the devnet's data, and say where it is.")
def exec_(command: tuple[str, ...], manifest: Path | None, logs: Path | None, *, keep: bool) -> int:
    """Run COMMAND beside a devnet of its own, on free ports; gives COMMAND's exit code.

    Its environment tells it everything: L1_RPC_URL, L1_WS_URL, L1_CHAIN_ID, L1_PORTAL_ADDRESS and the other contracts, the same
    for L2, ACCOUNT_0_ADDRESS and ACCOUNT_0_PRIVATE_KEY to 9, FAULTLINE_DATA. The devnet ends with the command.
    """
    refuse_containers(find_layout(None, os.environ), IN_A_CONTAINER)
    if shutil.which(command[0]) is None:
        click.echo(f"{command[0]}: command not found", err=True)
        return NOT_FOUND_EXIT
    told = Signals()
    try:
        with told.heard(), devnet(manifest=manifest, keep=keep) as net:
            code = _run(command, net, told)
            if code != 0 and logs is not None:
                shutil.copytree(net.network.layout.logs, logs, dirs_exist_ok=True)
                click.echo(f"The devnet's logs are in {logs}.", err=True)
            if keep:
                click.echo(f"The devnet's data is in {net.data}.", err=True)
            return code
    except WrongSettings as error:
        raise WrongUse(str(error)) from error
    except (StartFailed, StopFailed) as error:
        raise CommandFailed(str(error)) from error
    except Terminated as ended:
        return SIGNAL_EXIT + ended.number


class Terminated(Exception):
    """A signal before there was a command."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """What is done about signals: whoever ends us ends the command, and the devnet after it.

    before the command    the first one ends the devnet that starts or stands
    while it runs         SIGTERM and SIGHUP are passed on as SIGTERM; Ctrl-C reaches it as it reaches us
    from then on          none of them counts: the devnet ends, its folder goes, and the exit code is given
    """

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._starts = False
        self._ends = False
        self._told = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them until the block ends; one that whoever started us ignores (nohup) stays ignored."""
        heard = [number for number in HEARD if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._hear) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command to its end; gives what Popen gives. Raises OSError."""
        self._starts = True
        try:
            self._running = subprocess.Popen(command, env=environment)  # noqa: S603  # what the user asks for
            if self._told:  # Before we knew whom to tell.
                self._running.terminate()
            return self._running.wait()
        finally:
            self._ends = True

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._ends:
            return
        if not self._starts:
            self._ends = True
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise Terminated(number)
        if number != signal.SIGINT:  # What the command does about Ctrl-C is its own business.
            self._told = True
            if self._running is not None:
                self._running.terminate()


def _run(command: Sequence[str], net: Devnet, told: Signals) -> int:
    """Run it to its end; gives the exit code that shells give."""
    try:
        code = told.run(command, os.environ | net.environment)
    except OSError as error:
        click.echo(f"{command[0]}: {error.strerror}", err=True)
        return NOT_FOUND_EXIT
    return code if code >= 0 else SIGNAL_EXIT - code


COMMANDS: Final = {"exec": exec_}
"""What this module holds."""
