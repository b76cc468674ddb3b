"""The command line: `faultline`.

    arguments -> the one command's module is imported -> deploy.commands.<module>

Help and completion import none of them, so they answer at once.
Deliberately absent: the commands' work, and any command whose processes do not exist yet.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import CompletionItem

INTERRUPTED_EXIT: Final = 130
"""Exit code after Ctrl-C."""

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "up": ("up", "Start a devnet, or continue the one that was stopped."),
    "down": ("running", "Stop a running devnet; its data stays."),
    "status": ("running", "Show the processes, their heads, finality and peers."),
    "logs": ("logs", "Print what the processes say."),
    "processes": ("running", "Stop, start, restart or kill one process."),
    "break": ("breaking", "Break something on purpose, heal it, or list what can be broken."),
    "deposit": ("depositing", "Move ETH or tokens from L1 to L2, and watch them arrive."),
    "withdraw": ("withdrawing", "Move ETH or tokens from L2 to L1."),
    "withdrawals": ("withdrawing", "Show where withdrawals stand, and settle one."),
    "node": ("node", "Serve the JSON-RPC of another network's chain from files in geth's formats."),
    "exec": ("executing", "Run a command beside a devnet of its own: for tests."),
    "accounts": ("facts", "List the funded accounts with their keys."),
    "addresses": ("facts", "List RPC addresses and contracts, also for viem and shells."),
    "monitoring": ("monitoring", "Show how to watch a devnet with Prometheus and Grafana."),
    "config": ("configuring", "Check a manifest, or show what is in force."),
    "doctor": ("doctor", "Look for what keeps a devnet from running on this machine."),
    "reset": ("resetting", "Delete a devnet's data."),
}
"""Command -> the module of deploy.commands that holds it, and what it does."""


class _LazyGroup(click.Group):
    """Imports a command's module when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order in which one meets them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module_name, _ = _COMMANDS[cmd_name]
        module = importlib.import_module(f"deploy.commands.{module_name}")
        command = module.COMMANDS[cmd_name]
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table above."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """What a shell offers, from the table above."""
        names: list[CompletionItem[str]] = [
            CompletionItem(name, help=help_text)
            for name, (_, help_text) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names or super().shell_complete(ctx, incomplete)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=(
        "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted. "
        "Shell completion: see the README."
    ),
)
@click.version_option(package_name="faultline")
def faultline() -> None:
    """An Ethereum devnet made of real parts, on one machine, to be broken on purpose."""


def main() -> int:
    """Run a command; gives the exit code."""
    try:
        code = faultline.main(prog_name="faultline", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as failure:
        failure.show()
        return failure.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED_EXIT
    except PermissionError as error:
        click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
        return 1
    except BrokenPipeError:
        # Whoever read our output has had enough of it; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
