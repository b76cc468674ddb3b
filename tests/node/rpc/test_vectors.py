"""execution-apis' recorded errors, where they do not depend on the recorded chain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend

VECTORS: Final = Path(__file__).parents[4] / "shared" / "vectors" / "execution-apis"

OF_ANOTHER_METHOD: Final = ("eth_simulateV1", "testing_buildBlockV1")
"""Methods whose errors are the engine's (`tests.node.execution.test_simulate_recorded`), or that are not served."""


def recorded_errors() -> list[tuple[str, bytes, dict[str, object]]]:
    """(file, request, answer) of every exchange that ends in an error which any chain gives."""
    found: list[tuple[str, bytes, dict[str, object]]] = []
    for path in sorted(VECTORS.glob("*/*.io")):
        request = b""
        for line in path.read_bytes().splitlines():
            if line.startswith(b">> "):
                request = line[3:]
            elif line.startswith(b"<< "):
                answer = orjson.loads(line[3:])
                code = answer.get("error", {}).get("code")
                if path.parent.name not in OF_ANOTHER_METHOD and code not in (None, 3):
                    found.append((f"{path.parent.name}/{path.stem}", request, answer))
    return found


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors of execution-apis are not here")
def test_some_errors_are_recorded() -> None:
    assert len(recorded_errors()) >= 8


@pytest.mark.parametrize(
    ("name", "request_text", "answer"),
    [pytest.param(*one, id=one[0]) for one in recorded_errors()],
)
async def test_errors_are_those_recorded(
    name: str, request_text: bytes, answer: dict[str, object]
) -> None:
    backend = Backend()
    async with running(backend) as server:
        client = await server.http()
        genesis = b"0x" + backend.chain.canonical[0].hash.hex().encode()
        if name.endswith("ByHash/trace-genesis"):
            asked = orjson.loads(request_text)["params"][0].encode()
            request_text = request_text.replace(asked, genesis)
        assert (await client.post(request_text)).json() == answer
