"""Records digests of a node's traces of the recorded chain: `python -m tests.oracle.record_traces URL > FILE`.

The recordings of the repository are geth 1.17.8's, run as `record_malformed` tells.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.kit.trace_recordings import BLOCKS, OPTIONS, digest_of

PATIENCE_S = 60
"""How long an answer is waited for."""


def trace(
    connection: http.client.HTTPConnection, number: int, options: Mapping[str, object]
) -> object:
    """A block's traces."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "debug_traceBlockByNumber",
        "params": [hex(number), options],
    }
    connection.request("POST", "/", json.dumps(call), {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())["result"]


def main() -> int:
    """Record from the node whose URL is given."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    place = urlsplit(sys.argv[1])
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    recordings = {
        json.dumps(options): [
            digest_of(trace(connection, one, options)) for one in range(1, BLOCKS + 1)
        ]
        for options in OPTIONS
    }
    sys.stdout.write(json.dumps(recordings, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
