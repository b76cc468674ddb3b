"""Figures that more than one alert or panel shows. `process` is the label that names who exports a sample."""

from __future__ import annotations

from typing import Final

from deploy.monitoring.rules import Group, Recording

RECORDINGS: Final = (
    Recording(
        name="process:faultline_finality_lag:epochs",
        expression="faultline_consensus_epoch - faultline_consensus_finalized_epoch",
    ),
    Recording(
        name="process:faultline_head_lag:slots",
        expression="faultline_consensus_slot - faultline_consensus_head_slot",
    ),
    Recording(
        name="process:faultline_safe_lag:blocks",
        expression='faultline_chain_head_number{layer="l2"} - faultline_chain_safe_number{layer="l2"}',
    ),
    Recording(
        # A share of the limit; the devnet of one machine shares the machine's.
        name="process:faultline_memory:ratio",
        expression="process_resident_memory_bytes / faultline_runtime_memory_limit_bytes",
    ),
    Recording(
        name="process:faultline_disk_free:ratio",
        expression="faultline_storage_free_bytes / faultline_storage_capacity_bytes",
    ),
    Recording(
        name="process:faultline_rpc_requests:rate1m",
        expression="sum by (process) (rate(faultline_rpc_requests_total[1m]))",
    ),
    Recording(
        name="process:faultline_rpc_errors:ratio1m",
        expression=(
            'sum by (process) (rate(faultline_rpc_requests_total{outcome!="success"}[1m]))\n'
            "/ (process:faultline_rpc_requests:rate1m > 0)"
        ),
    ),
    Recording(
        # sendRawTransactionSync waits for a block; that is its purpose.
        name="process:faultline_rpc_request_seconds:p99",
        expression=(
            "histogram_quantile(0.99, sum by (process, le) (rate(\n"
            '  faultline_rpc_request_seconds_bucket{method!="eth_sendRawTransactionSync"}[1m])))'
        ),
    ),
    Recording(
        name="process:faultline_bridge_collateral:ratio",
        expression="faultline_bridge_locked_wei / (faultline_l2_supply_wei > 0)",
    ),
)
"""In an order in which each may use those before it."""

RECORDING_GROUP: Final = Group(name="faultline-figures", rules=RECORDINGS)
"""Evaluated first."""
