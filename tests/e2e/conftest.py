"""Devnets that tests share: one that is only used, one that is broken and healed.

A devnet costs seconds to start and a quarter of a core to keep, so a test takes one of these unless it needs a manifest
of its own. Both live as long as the worker. A file's tests run in one worker, in order; files that take `devnet` name the group
"devnet" (`pytest.mark.xdist_group`), so that all of them meet in one worker and one devnet.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.testing.devnet import attach
from tests.e2e.devnet import Devnet, running_devnet, wait_for
from tests.e2e.groups import GroupScheduling


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> GroupScheduling:
    """In xdist's controller: who runs what."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four validators, sequencer, bridge, watchtower: used and never broken, and no process of it ever ends by itself."""
    with running_devnet(tmp_path_factory.mktemp("shared"), with_l2=True) as running:
        yield running
        assert running.restarted() == [], "see their logs"


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """The same, for whole modules of tests that break it; a test takes `devnet_to_break`."""
    with running_devnet(tmp_path_factory.mktemp("broken"), with_l2=True) as running:
        running.wait_for_final(1)
        wait_for("the first final L2 block", lambda: running.l2_number("finalized") > 0)
        yield running


@pytest.fixture
def devnet_to_break(breakable: Devnet) -> Devnet:
    """That one, with every process ready and nothing broken, whatever the test before left behind."""
    attach(breakable.data).recover()
    return breakable
