"""An L2 process's life: as a validator's, with another program in it."""

from __future__ import annotations

from functools import partial

from node.app.process import run_process
from sequencer.app.assembly import run_sequencer
from sequencer.config import SequencerConfig


def main(config: SequencerConfig) -> int:
    """Run one L2 process until it is told to stop; gives the exit code."""
    return run_process(config.name, config.log, partial(run_sequencer, config))
