"""A key signs only beside its history: what is new, what is lost, and how a history moves."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from node.__main__ import main
from node.app.failures import SetupError
from node.app.signing import SIGNER_FILE, Signing, known_keys, open_signing
from node.chain import opening
from node.consensus.containers import VoteData
from node.consensus.fork_choice import Limits
from node.consensus.signing import Domains
from node.eth.primitives import Slot, ValidatorIndex
from node.execution.adapter import RevmEngine
from node.storage.chain_database import ChainDatabase
from node.validator.keys import load_keys
from node.validator.signer import Signer, VoteRequest
from tests.kit.chain_builder import make_keys
from tests.kit.memory_tables import MemoryTables
from tests.node.app.folders import Folder, make_folder, write_keys

pytestmark = pytest.mark.usefixtures("restored_logs")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path / "node", validators=2)


def database_of(folder: Folder, *, with_chain: bool) -> ChainDatabase:
    database = ChainDatabase(MemoryTables(), folder="data")
    if with_chain:
        document = (folder.path / "genesis.json").read_bytes()
        opening.open_store(
            genesis=folder.genesis,
            engine=RevmEngine(document),
            database=database,
            now=Slot(0),
            limits=Limits(),
        )
    return database


def opened(folder: Folder, closing: ExitStack, *, with_chain: bool = False) -> Signing:
    database = database_of(folder, with_chain=with_chain)
    config = folder.configure()
    return open_signing(config, folder.genesis, folder.genesis_hash(), database, closing)


def vote_once(folder: Folder, signing: Signing) -> None:
    """Sign a vote of slot 9 with every key."""
    assert signing.protection is not None
    genesis_hash = folder.genesis_hash()
    signer = Signer(signing.keys, signing.protection, Domains.of(900, genesis_hash))
    data = VoteData(slot=Slot(9), head_hash=genesis_hash, source=None, target=None)
    requests = [
        VoteRequest(public_key=key, validator_index=ValidatorIndex(0), data=data)
        for key in signer.public_keys
    ]
    assert all(answer.vote is not None for answer in signer.sign_votes(requests))


def test_keys_are_fresh_where_there_is_no_chain_yet(folder: Folder) -> None:
    with ExitStack() as closing:
        signing = opened(folder, closing)
        assert signing.fresh_keys == frozenset(key.public for key in folder.keys)
    with ExitStack() as closing:
        assert opened(folder, closing, with_chain=True).fresh_keys == frozenset()


def test_a_follower_has_nothing_to_sign_with(folder: Folder) -> None:
    config = folder.configure(keys_file=None)
    with ExitStack() as closing:
        signing = open_signing(
            config,
            folder.genesis,
            folder.genesis_hash(),
            database_of(folder, with_chain=False),
            closing,
        )
    assert signing == Signing()
    assert not (folder.data / SIGNER_FILE).exists()


def test_the_chain_on_disk_knows_its_keys(folder: Folder) -> None:
    assert known_keys(database_of(folder, with_chain=False)) == frozenset()
    known = known_keys(database_of(folder, with_chain=True))
    assert known == frozenset(key.public for key in folder.keys)


def test_a_lost_history_beside_a_chain_is_refused(folder: Folder) -> None:
    with (
        ExitStack() as closing,
        pytest.raises(SetupError, match="which is not new: restore the database, or import"),
    ):
        opened(folder, closing, with_chain=True)


def test_a_key_that_the_chain_does_not_know_joins_beside_old_ones(folder: Folder) -> None:
    with ExitStack() as closing:
        opened(folder, closing)
    newcomer = make_keys(3)[2]
    write_keys(folder.path / "keys.json", [*folder.keys, newcomer])

    with ExitStack() as closing:
        signing = opened(folder, closing, with_chain=True)

    assert signing.fresh_keys == {newcomer.public}


def test_two_processes_never_share_a_history(folder: Folder) -> None:
    with ExitStack() as closing, ExitStack() as second:
        opened(folder, closing)
        with pytest.raises(SetupError, match="is held by another process"):
            opened(folder, second)


def test_a_history_moves_to_another_folder(
    folder: Folder, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with ExitStack() as closing:
        vote_once(folder, opened(folder, closing))
    config = ["--config", str(folder.config_file)]
    capfdbinary.readouterr()

    assert main([*config, "--export-protection"]) == 0
    exported = capfdbinary.readouterr().out
    document = orjson.loads(exported)
    assert document["metadata"]["genesis_validators_root"] == "0x" + folder.genesis_hash().hex()
    assert {one["pubkey"] for one in document["data"]} == {
        "0x" + key.public.hex() for key in folder.keys
    }
    assert all(one["signed_attestations"] for one in document["data"])

    (folder.data / SIGNER_FILE).unlink()
    for file in folder.data.glob(SIGNER_FILE + "-*"):
        file.unlink()
    moved = tmp_path / "history.json"
    moved.write_bytes(exported)
    assert main([*config, "--import-protection", str(moved)]) == 0
    assert capfdbinary.readouterr().out == b"2 keys\n"

    with ExitStack() as closing:
        signing = opened(folder, closing, with_chain=True)
        assert signing.fresh_keys == frozenset()
        assert signing.protection is not None
        marks = {record.last_vote_slot for record in signing.protection.records().values()}
        assert marks == {9}, "the whole epoch of the vote is closed"
        keys = load_keys(folder.path / "keys.json")
        assert [key.public_key for key in keys] == [key.public for key in folder.keys]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "the file"),
        ('{"metadata": {"interchange_format_version": "4"}}', "genesis_validators_root"),
        (
            '{"metadata": {"interchange_format_version": "5", "genesis_validators_root": "0x00"},'
            ' "data": []}',
            "this chain's genesis hash is",
        ),
    ],
)
def test_a_history_that_cannot_be_used_names_file_and_reason(
    folder: Folder, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    file = tmp_path / "history.json"
    file.write_text(text)

    code = main(["--config", str(folder.config_file), "--import-protection", str(file)])

    told = capfd.readouterr().err
    assert code == 2
    assert str(file) in told
    assert complaint in told


def test_a_history_is_not_touched_while_a_process_runs(
    folder: Folder, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as closing:
        opened(folder, closing)
        assert main(["--config", str(folder.config_file), "--export-protection"]) == 2
        assert "is held by another process" in capfd.readouterr().err
