"""Runs until SIGTERM, or ends at once, or refuses to end: `python -m tests.deploy.fake_process MODE`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Behave as the first argument says; the exit code is the second, if there is one."""
    mode = arguments[0]
    sys.stdout.write(f"running as {os.getpid()} in session {os.getsid(0)}\n")
    sys.stdout.flush()
    if mode == "end":
        return int(arguments[1])
    if mode == "raise":
        raise RuntimeError("as told")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
