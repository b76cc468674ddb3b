"""What tests of disputes begin with."""

from __future__ import annotations

import pytest

from tests.kit.dispute_world import DisputeWorld


@pytest.fixture
def world() -> DisputeWorld:
    """Eight L2 blocks in one record."""
    opened = DisputeWorld.open()
    opened.append([[]] * 8, advances=3)
    return opened
