"""States on disk: kills, damage, pruning, and blocks that pruning overtakes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from node.errors import MissingState, StorageError
from node.execution.adapter import RevmEngine
from tests.kit.execution_chain import (
    KEEPER,
    SENDER,
    ExecutionChain,
    genesis_document,
    sign,
    word,
)

KILLS = 10
"""Processes that are killed while they commit."""

COMMITTER = """
import sys
from pathlib import Path
from tests.kit.execution_chain import ExecutionChain, KEEPER, SENDER, sign, word

chain = ExecutionChain.open(Path(sys.argv[1]))
for nonce in range(2_000):
    data = word(nonce) + word(nonce + 1)
    block = chain.grow([sign(SENDER, nonce=nonce, to=KEEPER, data=data, gas=100_000)])
    print(nonce, block.state_root.hex(), flush=True)
"""


def grown(folder: Path, blocks: int, *, slack_megabytes: int = 0) -> ExecutionChain:
    """A chain on disk whose blocks each store one word."""
    chain = ExecutionChain.open(folder, slack_megabytes=slack_megabytes)
    for nonce in range(blocks):
        data = word(nonce) + word(nonce + 1)
        chain.grow([sign(SENDER, nonce=nonce, to=KEEPER, data=data, gas=100_000)])
    return chain


def reopened(folder: Path) -> RevmEngine:
    return RevmEngine(json.dumps(genesis_document()).encode(), folder=folder)


def walked_or_message(folder: Path, root: bytes) -> int | str:
    """The number of a state's nodes, or what is wrong with the store."""
    try:
        with closing(reopened(folder)) as engine:
            return engine.walk(root)
    except StorageError as error:
        return str(error)


def test_states_outlive_the_engine(tmp_path: Path) -> None:
    """Given a closed engine, when opened again, then every state is whole, and the chain goes on."""
    # Given
    chain = grown(tmp_path, 10)
    chain.engine.close()

    # When
    chain.engine = reopened(tmp_path)

    # Then
    for number, block in enumerate(chain.blocks):
        assert chain.engine.walk(block.state_root) > 10
        stored = chain.engine.storage(block.state_root, KEEPER, word(4))
        assert stored == word(5 if number > 4 else 0)
    chain.grow([sign(SENDER, nonce=10)])


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    chain = grown(tmp_path, 1)
    chain.engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        chain.engine.has_state(chain.head.state_root)


def test_a_second_engine_is_refused(tmp_path: Path) -> None:
    chain = grown(tmp_path, 1)
    with pytest.raises(StorageError, match=r"index\.redb: it is in use by another process"):
        reopened(tmp_path)
    chain.engine.close()
    reopened(tmp_path)


@pytest.mark.slow
def test_what_commit_returned_for_survives_a_kill(tmp_path: Path) -> None:
    """Given processes killed while they commit, when opened again, then every acknowledged state is whole."""
    for kill in range(KILLS):
        # Given
        folder = tmp_path / str(kill // 3)  # some begin with what a killed one has left
        with subprocess.Popen(
            [sys.executable, "-c", COMMITTER, str(folder)], stdout=subprocess.PIPE, text=True
        ) as committer:
            assert committer.stdout is not None
            lines = [committer.stdout.readline() for _ in range(3 + 7 * kill)]
            committer.kill()
            lines += committer.stdout.read().splitlines(keepends=True)
        acknowledged = [line.split() for line in lines if line.endswith("\n")]

        # Then
        engine = reopened(folder)
        for nonce, root in acknowledged:
            assert engine.storage(bytes.fromhex(root), KEEPER, word(int(nonce))) == word(
                int(nonce) + 1
            )
        engine.walk(bytes.fromhex(acknowledged[-1][1]))
        engine.close()


def test_damage_is_named_and_never_misread(tmp_path: Path) -> None:
    """Given a log with any stretch of bytes changed, when read, then the right state or StorageError with the file."""
    # Given
    chain = grown(tmp_path, 6)
    root = chain.head.state_root
    nodes = chain.engine.walk(root)
    chain.engine.close()
    (log,) = tmp_path.glob("*.log")
    good = log.read_bytes()
    outcomes: list[int | str] = []

    # When
    for at in range(0, len(good), len(good) // 60):
        bad = bytearray(good)
        bad[at : at + 4] = bytes(byte ^ 0x5A for byte in bad[at : at + 4])
        log.write_bytes(bad)
        outcomes.append(walked_or_message(tmp_path, root))

    # Then
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refused) > 10
    assert all(log.name in message for message in refused)
    assert {outcome for outcome in outcomes if isinstance(outcome, int)} == {nodes}


@pytest.mark.parametrize("name", ["index.redb", "log"])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, name: str) -> None:
    chain = grown(tmp_path, 3)
    chain.engine.close()
    (path,) = tmp_path.glob(f"*{name}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StorageError, match=path.name):
        reopened(tmp_path)


def test_a_folder_without_its_index_is_refused(tmp_path: Path) -> None:
    chain = grown(tmp_path, 1)
    chain.engine.close()
    (tmp_path / "index.redb").unlink()
    with pytest.raises(StorageError, match="there are nodes but no index"):
        reopened(tmp_path)


@pytest.mark.parametrize("on_disk", [True, False])
def test_pruning_keeps_what_is_asked_for(tmp_path: Path, on_disk: bool) -> None:
    """Given a chain with a fork, when pruned, then the named roots and late blocks can be read, nothing else."""
    # Given
    chain = ExecutionChain.open(tmp_path if on_disk else None, slack_megabytes=0)
    for nonce in range(12):
        data = word(nonce) + word(nonce + 1)
        chain.grow([sign(SENDER, nonce=nonce, to=KEEPER, data=data, gas=100_000)])
    fork = chain.seal([sign(SENDER, nonce=12, value=1)])
    chain.engine.commit(fork)
    walked = {block.state_root: chain.engine.walk(block.state_root) for block in chain.blocks}

    # When
    freed = chain.engine.prune([chain.blocks[3].state_root], 10)

    # Then
    assert freed > 0
    for number, block in enumerate(chain.blocks):
        assert chain.engine.has_state(block.state_root) == (number == 3 or number >= 10)
        if chain.engine.has_state(block.state_root):
            assert chain.engine.walk(block.state_root) == walked[block.state_root]
        else:
            with pytest.raises(MissingState):
                chain.engine.account(block.state_root, KEEPER)
    assert chain.engine.storage(fork.state_root, KEEPER, word(2)) == word(3)
    chain.grow([sign(SENDER, nonce=12)])
    if on_disk:
        chain.engine.close()
        chain.engine = reopened(tmp_path)
        assert chain.engine.walk(chain.head.state_root) > 10


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_block_that_pruning_overtook_is_committed_all_the_same(
    tmp_path: Path, on_disk: bool
) -> None:
    """Given a block executed before pruning moved the nodes it names, when committed after it, then its state is whole."""
    # Given
    chain = ExecutionChain.open(tmp_path if on_disk else None, slack_megabytes=0)
    for nonce in range(3):
        chain.grow([sign(SENDER, nonce=nonce)])
    sealed = chain.seal([sign(SENDER, nonce=3, to=KEEPER, data=word(1) + word(2), gas=100_000)])
    judged = chain.execute(sealed.block)

    # When
    chain.engine.prune([], 3)
    chain.engine.commit(judged)
    chain.engine.commit(sealed)

    # Then
    assert chain.engine.storage(sealed.state_root, KEEPER, word(1)) == word(2)
    assert chain.engine.walk(sealed.state_root) > 10


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_block_whose_parent_was_pruned_is_missing_its_state(
    tmp_path: Path, on_disk: bool
) -> None:
    chain = ExecutionChain.open(tmp_path if on_disk else None, slack_megabytes=0)
    sealed = chain.seal([sign(SENDER, nonce=0)])
    chain.grow([sign(SENDER, nonce=0, value=1)])
    chain.engine.prune([], 1)
    with pytest.raises(MissingState):
        chain.engine.commit(sealed)


def test_a_root_that_is_not_there_cannot_be_kept(tmp_path: Path) -> None:
    chain = grown(tmp_path, 2)
    with pytest.raises(StorageError, match="that is to be kept is not there"):
        chain.engine.prune([bytes(32)], 0)
    assert chain.engine.has_state(chain.blocks[0].state_root)


@pytest.mark.slow
def test_blocks_go_on_while_states_are_pruned(tmp_path: Path) -> None:
    """Given a thread that prunes without pause, when blocks are built and committed, then every late state is whole."""
    # Given
    chain = grown(tmp_path, 3)
    stop = threading.Event()
    failures: list[Exception] = []

    def prune() -> None:
        while not stop.is_set():
            try:
                chain.engine.prune([], max(0, len(chain.blocks) - 5))
            except (StorageError, MissingState, RuntimeError) as error:
                failures.append(error)
                return

    pruner = threading.Thread(target=prune)
    pruner.start()

    # When
    try:
        for nonce in range(3, 150):
            data = word(nonce % 20) + word(nonce)
            chain.grow([sign(SENDER, nonce=nonce, to=KEEPER, data=data, gas=100_000)])
    finally:
        stop.set()
        pruner.join()

    # Then
    assert failures == []
    chain.engine.prune([], len(chain.blocks) - 3)
    for block in chain.blocks[-3:]:
        assert chain.engine.walk(block.state_root) > 10
