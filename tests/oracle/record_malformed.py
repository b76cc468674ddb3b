"""Records what a node answers to malformed requests: `python -m tests.oracle.record_malformed URL > FILE`.

The recordings of the repository are geth 1.17.8's, built from its module (`go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.8`)
and run on the chain of execution-apis: `geth init genesis.json`, `geth import chain.rlp`, then served on loopback without peers
(`--http.api eth,net,web3,txpool,debug`), the forkchoiceUpdated of `headfcu.json` sent to its engine port.
"""

from __future__ import annotations

import http.client
import json
import sys
from contextlib import suppress
from urllib.parse import urlsplit

from tests.kit.malformed_answers import outcome_of, request_of
from tests.kit.malformed_requests import Malformed, malformed_requests

PATIENCE_S = 60
"""How long an answer is waited for."""


def ask(url: str, one: Malformed) -> dict[str, object]:
    """A node's answer to a request, as it is recorded."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    try:
        body = one.body.encode()
        connection.putrequest(one.http_method, "/", skip_accept_encoding=True)
        if one.content_type is not None:
            connection.putheader("Content-Type", one.content_type)
        connection.putheader("Content-Length", str(len(body)))
        with suppress(
            BrokenPipeError, ConnectionResetError
        ):  # It may answer before it has read everything.
            connection.endheaders(body)
        answer = connection.getresponse()
        return outcome_of(answer.status, answer.read())
    finally:
        connection.close()


def main() -> int:
    """Record from the node whose URL is given."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for one in malformed_requests():
        record = request_of(one) | ask(sys.argv[1], one)
        sys.stdout.write(json.dumps(record, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
