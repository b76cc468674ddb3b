"""Records digests of a node's witnesses of the recorded chain: `python -m tests.oracle.record_witnesses URL > FILE`.

The recordings of the repository are geth 1.17.8's, run as `record_malformed` tells.
"""

from __future__ import annotations

import http.client
import json
import sys
from urllib.parse import urlsplit

from tests.kit.trace_recordings import BLOCKS
from tests.kit.witness_recordings import Kinds, kinds_of

PATIENCE_S = 60
"""How long an answer is waited for."""


def ask(connection: http.client.HTTPConnection, number: int) -> dict[str, object]:
    """The whole answer for a block."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "debug_executionWitness", "params": [hex(number)]}
    connection.request("POST", "/", json.dumps(call), {"Content-Type": "application/json"})
    answer: dict[str, object] = json.loads(connection.getresponse().read())
    return answer


def main() -> int:
    """Record from the node whose URL is given; blocks that it has no witness of are left out."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    place = urlsplit(sys.argv[1])
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    recordings: dict[int, Kinds] = {}
    for number in range(1, BLOCKS + 1):
        witness = ask(connection, number).get("result")
        if isinstance(witness, dict):
            recordings[number] = kinds_of(witness)
    sys.stdout.write(json.dumps(recordings, indent=0) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
