"""Key files and onions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson
import pytest

from node.consensus.randao import onion_tip, reveal_and_renewal
from node.validator.keys import KeyFileError, ValidatorKey, load_keys

SECRET: Final = "5e" * 32
SEED: Final = "7f" * 32


def write(tmp_path: Path, document: object, mode: int = 0o600) -> Path:
    file = tmp_path / "keys.json"
    file.write_bytes(orjson.dumps(document))
    file.chmod(mode)
    return file


def entry(private_key: str = SECRET, onion_seed: str = SEED) -> dict[str, str]:
    return {"private_key": private_key, "onion_seed": onion_seed}


def test_keys_are_read(tmp_path: Path) -> None:
    keys = load_keys(write(tmp_path, {"keys": [entry(), entry("0x" + "11" * 32)]}))
    assert len({key.public_key for key in keys}) == 2
    assert all(len(key.public_key) == 32 for key in keys)


def test_nothing_shows_a_secret() -> None:
    key = ValidatorKey(private_key=bytes.fromhex(SECRET), onion_seed=bytes.fromhex(SEED))
    assert repr(key) == f"ValidatorKey(0x{key.public_key.hex()})"
    assert SECRET not in f"{key} {key!r}"


@pytest.mark.parametrize(
    ("document", "mode", "expected"),
    [
        ({"keys": [entry()]}, 0o640, "mode is 0640, others can get at it; want 0600"),
        ({"keys": [entry()]}, 0o604, "mode is 0604, others can get at it; want 0600"),
        ({"keys": []}, 0o600, "keys: 0 entries, want 1 to 256"),
        ({"keys": [entry()] * 2}, 0o600, "keys: a private key stands there twice"),
        ({"keys": [entry(SECRET[2:])]}, 0o600, "keys.0.private_key: want 64 hex digits"),
        ({"keys": [entry(onion_seed="no")]}, 0o600, "keys.0.onion_seed: want 64 hex digits"),
        ({"keys": [{"private_key": SECRET}]}, 0o600, "keys.0.onion_seed: missing"),
        ({"keys": [entry() | {"more": 1}]}, 0o600, "keys.0.more: extra_forbidden"),
        ([], 0o600, "(whole file): model_type"),
    ],
)
def test_a_bad_file_is_named_without_its_secrets(
    tmp_path: Path, document: object, mode: int, expected: str
) -> None:
    file = write(tmp_path, document, mode)
    with pytest.raises(KeyFileError) as caught:
        load_keys(file)
    assert str(caught.value) == f"{file}: {expected}"
    assert SECRET[4:] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"keys\.json: cannot be read: No such file"):
        load_keys(tmp_path / "keys.json")
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="is no regular file"):
        load_keys(tmp_path / "folder")


@pytest.mark.parametrize("layers", [2, 8, 32])
def test_remembered_layers_are_the_onions(layers: int) -> None:
    seed = bytes.fromhex(SEED)
    key = ValidatorKey(private_key=bytes.fromhex(SECRET), onion_seed=seed)
    for reveals in range(3 * layers):
        expected = reveal_and_renewal(seed, reveals, layers)
        assert key.reveal_and_renewal(reveals, layers) == expected
    assert key.commitment(0, layers) == onion_tip(seed, 0, layers)
