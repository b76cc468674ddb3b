"""Five pages: the network, its validators, the rollup, the bridge, JSON-RPC. Each picture says what is normal."""

from __future__ import annotations

from typing import Final

from deploy.monitoring.pages.bridge import BRIDGE
from deploy.monitoring.pages.network import NETWORK
from deploy.monitoring.pages.rollup import ROLLUP
from deploy.monitoring.pages.rpc import RPC
from deploy.monitoring.pages.validator import VALIDATOR

DASHBOARDS: Final = (NETWORK, VALIDATOR, ROLLUP, BRIDGE, RPC)
"""In the order of their links."""
