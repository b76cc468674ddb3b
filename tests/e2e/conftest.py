"""One devnet is shared by all tests that only use it; tests that break one start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.devnet import Devnet, running_devnet


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four validators, nothing broken."""
    with running_devnet(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="module")
def devnet_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four validators for tests that break and heal them, one after the other."""
    with running_devnet(tmp_path_factory.mktemp("broken")) as running:
        running.wait_for_final(1)
        yield running
