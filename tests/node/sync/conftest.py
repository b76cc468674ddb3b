"""What tests of sync stand on."""

from __future__ import annotations

from random import Random

import pytest

from tests.kit.chain_harness import TestNetwork, make_network
from tests.kit.memory_network import MemoryHub


@pytest.fixture
def network() -> TestNetwork:
    """Four validators' keys and genesis, and a builder of their blocks."""
    return make_network()


@pytest.fixture
def hub() -> MemoryHub:
    """A network in memory; whoever joins has a name."""
    return MemoryHub(dice=Random(7))
