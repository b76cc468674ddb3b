"""A process's life: logs, signals, and what its exit code means.

    main(config) -> 0 stopped cleanly | 1 failed | 2 cannot run as it is set up

SIGTERM and SIGINT cancel everything; whatever is still running then cleans up in its own `finally`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio

from node.app.assembly import read_genesis, run_node
from node.app.failures import SetupError, TaskFailed
from node.app.signing import export_protection, import_protection
from node.config import ConfigError, LogConfig, NodeConfig
from node.errors import Corruption
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.runtime.logs import configure_logs
from node.runtime.memory import keep_memory_small
from node.runtime.worker import ThreadWorker

EXIT_STOPPED: Final = 0
EXIT_FAILED: Final = 1
EXIT_SETUP: Final = 2

_log = structlog.get_logger()


def main(config: NodeConfig) -> int:
    """Run one node until it is told to stop; gives the exit code."""
    return run_process(config.name, config.log, partial(run_node, config))


def run_process(name: str, log: LogConfig, run: Callable[[], Awaitable[None]]) -> int:
    """Run a program's one task until it ends or is told to stop; gives the exit code."""
    configure_logs(process=name, log_format=log.format, level=log.level)
    code = EXIT_STOPPED
    try:
        trio.run(_run_until_signalled, run, strict_exception_groups=True)
    except* (ConfigError, SetupError) as group:
        _report(group)
        code = EXIT_SETUP
    except* (Corruption, TaskFailed) as group:
        _report(group)
        code = EXIT_FAILED
    return code


def move_history(config: NodeConfig, file: Path | None) -> int:
    """Merge an EIP-3076 file into the signer's database, or print the database as one; gives the exit code."""
    try:
        document, genesis = read_genesis(config.genesis_file)
        genesis_hash = Hash32(RevmEngine(document).genesis().block_hash)
        if file is None:
            sys.stdout.buffer.write(export_protection(config, genesis, genesis_hash) + b"\n")
        else:
            number = import_protection(config, genesis, genesis_hash, file)
            sys.stdout.write(f"{number} keys\n")
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETUP
    except Corruption as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    return EXIT_STOPPED


def _report(group: BaseExceptionGroup[Exception]) -> None:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _report(error)
            continue
        _log.error("process_stopped", error=type(error).__name__, message=str(error))
        sys.stderr.write(f"{error}\n")


async def _run_until_signalled(run: Callable[[], Awaitable[None]]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                async for number in signals:
                    _log.info("stop_requested", signal=signal.Signals(number).name)
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(stop_on_signal)
            nursery.start_soon(keep_memory_small, ThreadWorker(threads_max=1))
            await run()
            nursery.cancel_scope.cancel()
    _log.info("process_finished")
