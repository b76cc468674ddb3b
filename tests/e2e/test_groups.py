"""Files that share a devnet meet in one worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.groups import group_of

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parent


def test_files_that_name_a_group_are_one_and_others_stand_alone() -> None:
    assert group_of(FOLDER / "test_wallets.py") == group_of(FOLDER / "test_eels.py") == "devnet"
    assert group_of(FOLDER / "test_rollup.py") == str(FOLDER / "test_rollup.py")


def test_whoever_takes_the_shared_devnet_names_its_group() -> None:
    for file in FOLDER.glob("test_*.py"):
        text = file.read_text()
        takes = re.search(r"^(async )?def test_\w+\([^)]*\bdevnet: Devnet", text, re.MULTILINE)
        if takes and "def devnet(" not in text:
            assert group_of(file) == "devnet", file.name
