"""Traces of every block of the recorded chain by every tracer, as digests: what is asked, and geth's answers.

OPTIONS x blocks -> debug_traceBlockByNumber -> digest_of -> tests/vectors/traces/geth-1.17.8.json
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

RECORDINGS: Final = Path(__file__).parents[1] / "vectors" / "traces" / "geth-1.17.8.json"
"""For each tracer and its options, the digests of the blocks from 1 on."""

BLOCKS: Final = 54
"""Of the recorded chain, genesis not counted."""

_DIFFERENCE: Final = {"diffMode": True}

OPTIONS: Final[Sequence[Mapping[str, object]]] = [
    {},
    {"enableMemory": True, "enableReturnData": True},
    {"disableStorage": True, "disableStack": True},
    {"limit": 5},
    {"tracer": "callTracer"},
    {"tracer": "callTracer", "tracerConfig": {"withLog": True}},
    {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True, "withLog": True}},
    {"tracer": "prestateTracer"},
    {"tracer": "prestateTracer", "tracerConfig": _DIFFERENCE},
    {
        "tracer": "prestateTracer",
        "tracerConfig": _DIFFERENCE | {"disableCode": True, "disableStorage": True},
    },
    {"tracer": "prestateTracer", "tracerConfig": {"includeEmpty": True}},
    {"tracer": "prestateTracer", "tracerConfig": {"disableCode": True}},
    {"tracer": "prestateTracer", "tracerConfig": {"disableStorage": True}},
    {"tracer": "4byteTracer"},
    {"tracer": "flatCallTracer"},
    {
        "tracer": "flatCallTracer",
        "tracerConfig": {"convertParityErrors": True, "includePrecompiles": True},
    },
    {"tracer": "noopTracer"},
    {
        "tracer": "muxTracer",
        "tracerConfig": {
            "callTracer": {"withLog": True},
            "prestateTracer": _DIFFERENCE,
            "4byteTracer": None,
            "flatCallTracer": {},
        },
    },
    {"tracer": "erc7562Tracer"},
    {
        "tracer": "erc7562Tracer",
        "tracerConfig": {"withLog": True, "ignoredOpcodes": [], "stackTopItemsSize": 1},
    },
    {"tracer": "keccak256PreimageTracer"},
    {"tracer": "trigramTracer"},
    {
        "tracer": "muxTracer",
        "tracerConfig": {
            "erc7562Tracer": {"ignoredOpcodes": ["0x0", "0x54", "0x155"]},
            "keccak256PreimageTracer": None,
            "opcountTracer": None,
            "unigramTracer": {},
            "bigramTracer": None,
            "callTracer": {},
        },
    },
]
"""Tracers and what they are told."""


def digest_of(trace: object) -> str:
    """Eight bytes of the SHA-256 of a trace as JSON with sorted names."""
    text = json.dumps(trace, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recorded_digests() -> Mapping[str, Sequence[str]]:
    """The recordings, by the JSON of the options."""
    return cast("Mapping[str, Sequence[str]]", json.loads(RECORDINGS.read_text(encoding="utf-8")))
