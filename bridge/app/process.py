"""A bridge process's life: as any L2 process's, with another program in it."""

from __future__ import annotations

from functools import partial

from bridge.app.assembly import run_bridge
from bridge.config import BridgeConfig
from node.app.process import run_process
from sequencer.app.process import collect_garbage_seldom


def main(config: BridgeConfig) -> int:
    """Run one bridge process until it is told to stop; gives the exit code."""
    collect_garbage_seldom()
    return run_process(config.name, config.log, partial(run_bridge, config))
