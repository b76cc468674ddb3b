"""Devnets that tests share: one that is only used, one that is broken and healed.

A devnet costs seconds to start and a quarter of a core to keep, so a test takes one of these unless it needs a manifest
of its own. Tests of one devnet carry its group (`pytest.mark.xdist_group`), so that they meet in one worker.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.devnet import Devnet, running_devnet, wait_for


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Group "devnet": four validators, sequencer, bridge, watchtower; used and never broken."""
    with running_devnet(tmp_path_factory.mktemp("shared"), with_l2=True) as running:
        yield running


@pytest.fixture(scope="session")
def devnet_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Group "breaking": the same, for tests that break it and heal it before they end, one after the other."""
    with running_devnet(tmp_path_factory.mktemp("broken"), with_l2=True) as running:
        running.wait_for_final(1)
        wait_for("the first safe L2 block", lambda: running.l2_number("safe") > 0)
        yield running
