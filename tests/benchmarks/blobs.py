"""What checking blobs costs: `python -m tests.benchmarks.blobs`. CPU of this process and memory it grew by."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from node.execution.adapter import RevmEngine, commit_blob
from tests.kit.blobs import empty_blob, make_blob
from tests.kit.execution_chain import ExecutionChain


def resident_megabytes() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def measured(name: str, work: Callable[[], object]) -> None:
    """Do something once and print what it took."""
    memory, started = resident_megabytes(), time.process_time()
    work()
    spent_ms = 1_000 * (time.process_time() - started)
    grown = resident_megabytes() - memory
    sys.stdout.write(f"{name:50} {spent_ms:8.0f} ms CPU {grown:8.1f} MB\n")


def main() -> None:
    """Measure."""
    engine: RevmEngine = ExecutionChain.open().engine
    zeros = empty_blob()
    item = (zeros.data, zeros.commitment, zeros.proofs)
    measured("the first check", lambda: engine.verify_blobs([item]))
    measured("the first proofs: loading the trusted setup", lambda: commit_blob(zeros.data))
    measured("committing to a blob and proving its cells", lambda: commit_blob(make_blob(1).data))
    blob = make_blob(1)
    item = (blob.data, blob.commitment, blob.proofs)
    measured("checking a blob", lambda: engine.verify_blobs([item]))
    measured("checking six", lambda: engine.verify_blobs([item] * 6))


if __name__ == "__main__":
    main()
