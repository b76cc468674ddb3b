"""What an L1 node needs to answer STEP: the rollup that its L1's genesis file names, from the L2's genesis file.

    genesis.json (`rollup`, `l2_genesis_hash`) + l2-genesis.json -> open_step -> StepCallable -> RevmEngine(step=...)

Every L1 node executes STEPs again, so every one needs both files: what a code in the L2's genesis file weighs is a rule of
the L2 (the witness rule), and L1's file names the L2's only by the hash of its block.
Deliberately absent: what STEP does (node.rollup.step, node.execution.stepping).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from node.app.failures import SetupError
from node.errors import Rejected
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine, StepCallable
from node.execution.stepping import step_callable
from node.rollup.parameters import RollupParameters, parse, parse_l2_genesis_hash

GENESIS_BYTES_MAX: Final = 64 << 20
"""A genesis file is never longer."""


def read_file(file: Path) -> bytes:
    """A genesis file. Raises SetupError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > GENESIS_BYTES_MAX:
        raise SetupError(f"{file}: {len(raw)} bytes, at most {GENESIS_BYTES_MAX} are read")
    return raw


def read_rollup(file: Path, document: bytes) -> tuple[RollupParameters, Hash32]:
    """What L1's genesis file says of the rollup: its parameters and its genesis hash. Raises SetupError."""
    rollup = _rollup_object(file, document)
    if rollup is None:
        raise SetupError(f"{file}: no object `rollup`: this network has no L2")
    try:
        return parse(rollup), parse_l2_genesis_hash(rollup)
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error


def open_step(file: Path, document: bytes, l2_file: Path | None) -> StepCallable | None:
    """What L1's precompile calls; None where L1's genesis file names no rollup.

    Raises SetupError: no L2 genesis file, or one of another network or with other rules.
    """
    if _rollup_object(file, document) is None:
        return None
    if l2_file is None:
        raise SetupError(
            f"l2_genesis_file: found nothing, want the genesis file of the L2 that {file} names"
        )
    parameters, wanted = read_rollup(file, document)
    l2_document = read_file(l2_file)
    try:
        own = parse(_rollup_object(l2_file, l2_document))
        engine = RevmEngine(l2_document, cache_megabytes=1)
    except Rejected as error:
        raise SetupError(f"{l2_file}: {error.message}") from error
    except ValueError as error:
        raise SetupError(f"{l2_file}: {error}") from error
    if own.config_hash() != parameters.config_hash():
        raise SetupError(f"{l2_file}: its `rollup` has other rules than that of {file}")
    found = Hash32(engine.genesis().block_hash)
    if found != wanted:
        raise SetupError(
            f"{l2_file}: its genesis block is 0x{found.hex()}, {file} wants 0x{wanted.hex()}"
        )
    return step_callable(engine, parameters)


def _rollup_object(file: Path, document: bytes) -> object:
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise SetupError(f"{file}: no JSON: {error}") from error
    return found.get("rollup") if isinstance(found, dict) else None
