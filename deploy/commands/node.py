"""`faultline node`: serves a chain of others from files in geth's formats."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Final

import click

from deploy.commands.options import FILE, WrongUse, data_option
from deploy.layout import DATA_VARIABLE, Layout

RPC_PORT: Final = 8545
"""Where wallets look first."""

PORT: Final = click.IntRange(0, 65_535)


@click.command("node")
@click.option(
    "--genesis",
    type=FILE,
    required=True,
    metavar="FILE",
    help="Genesis file in geth's format.",
)
@click.option(
    "--import",
    "chain",
    type=FILE,
    metavar="FILE",
    help="Blocks as `geth export` writes them (RLP, also .gz), taken in first.",
)
@click.option(
    "--rpc-port",
    type=PORT,
    default=RPC_PORT,
    show_default=True,
    metavar="P",
    help="JSON-RPC; 0 takes a free one.",
)
@click.option(
    "--metrics-port", type=PORT, metavar="P", help="Serve /metrics, /healthz and /readyz there."
)
@data_option
def node(
    genesis: Path, chain: Path | None, rpc_port: int, metrics_port: int | None, data: Path | None
) -> int:
    """Serve the JSON-RPC of a chain from a genesis file and a file of blocks: no consensus, no peers.

    The last block is latest, safe and finalized. Running it again goes on with what is there; without --data the chain has
    a folder of its own.
    """
    from node.app.process import run_process  # imported late: usage errors answer at once
    from node.app.standalone import StandaloneConfig, run_standalone
    from node.config import LogConfig

    config = StandaloneConfig(
        genesis_file=genesis,
        chain_file=chain,
        data_dir=_folder(data),
        state_home=_state_home(),
        rpc_port=rpc_port,
        metrics_port=metrics_port,
    )
    log = LogConfig(format="text" if sys.stdout.isatty() else "json")
    return run_process("node", log, partial(run_standalone, config))


def _folder(data: Path | None) -> Path | None:
    """The folder that was named. Raises WrongUse for a devnet's."""
    named = os.environ.get(DATA_VARIABLE)
    folder = data or (Path(named) if named else None)
    if folder is None:
        return None
    folder = folder.expanduser().resolve()
    if Layout(folder).network.exists():
        raise WrongUse(f"--data {folder}: found a devnet, want a folder for this chain alone")
    return folder


def _state_home() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home).resolve() / "faultline"


COMMANDS: Final = {"node": node}
"""What this module holds."""
