"""`python -m deploy.docker`: prepares a devnet in containers, then ends."""

from __future__ import annotations

import os
import sys

from deploy.docker.preparing import main

if __name__ == "__main__":
    sys.exit(main(os.environ))
