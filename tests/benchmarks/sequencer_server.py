"""A sequencer's builder, chain and JSON-RPC, without L1, libp2p and batches; prints its port and serves until it is killed.

    python -m tests.benchmarks.sequencer_server FOLDER

The native engine executes, the journal is written and synced, redb is behind it: what a send costs until its receipt is there.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import structlog
import trio

from sequencer.app.process import YOUNG_OBJECTS_MAX, YOUNG_ROUNDS
from tests.benchmarks.sends import BANKERS
from tests.kit.sequencer_rpc import served_sequencer


async def serve(folder: Path) -> None:
    """Serve until killed."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS, YOUNG_ROUNDS)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    async with served_sequencer(folder, BANKERS) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(serve, Path(sys.argv[1]))
