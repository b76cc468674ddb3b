"""An L2 process's life: as a validator's, with another program in it."""

from __future__ import annotations

import gc
from functools import partial
from typing import Final

from node.app.process import run_process
from sequencer.app.assembly import run_sequencer
from sequencer.config import SequencerConfig

YOUNG_OBJECTS_MAX: Final = 50_000
"""Objects made before garbage is looked for. A thousand transactions in progress are some ten thousand objects, none of them
garbage: at Python's 700, looking through them again and again took a sixth of what a transaction costs."""

YOUNG_ROUNDS: Final = 20
"""Rounds among the young before older objects are looked through."""


def main(config: SequencerConfig) -> int:
    """Run one L2 process until it is told to stop; gives the exit code."""
    collect_garbage_seldom()
    return run_process(config.name, config.log, partial(run_sequencer, config))


def collect_garbage_seldom() -> None:
    """Let Python look for garbage as seldom as suits a process that has many transactions in progress."""
    gc.freeze()  # what is imported stays
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS, YOUNG_ROUNDS)
