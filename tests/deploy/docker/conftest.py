"""Folders as containers see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.docker.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Empty volumes."""
    return Places(folder=tmp_path)
