"""`faultline exec -- COMMAND`: a devnet for the length of a command, whatever language that is written in.

    free ports -> devnet -> COMMAND with L1_RPC_URL, ACCOUNT_0_PRIVATE_KEY ... in its environment -> its exit code -> devnet gone

For test suites and continuous integration: hardhat, forge, vitest, cargo and the others start no devnet of their own and name no port.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
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

IN_A_CONTAINER: Final = "docker run --rm faultline:local faultline exec -- COMMAND"
"""Beside a devnet in containers there is room for commands to it, not for seven processes more."""


@click.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
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
    try:
        with devnet(manifest=manifest, keep=keep) as net:
            code = _run(command, net)
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


def _run(command: tuple[str, ...], net: Devnet) -> int:
    """Run it to its end; Ctrl-C reaches it as it reaches us."""
    try:
        done = subprocess.run(command, env=os.environ | net.environment, check=False)  # noqa: S603  # what the user asks for
    except (FileNotFoundError, PermissionError) as error:
        click.echo(f"{command[0]}: {error.strerror}", err=True)
        return NOT_FOUND_EXIT
    return done.returncode if done.returncode >= 0 else SIGNAL_EXIT - done.returncode


COMMANDS: Final = {"exec": exec_}
"""What this module holds."""
