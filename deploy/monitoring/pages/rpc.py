"""Who asks what over JSON-RPC, how fast is the answer, and what fails?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import MINE, Dashboard, Kind, Panel, Query, Row, Unit

RPC: Final = Dashboard(
    uid="faultline-rpc",
    title="Faultline: JSON-RPC",
    about="Who asks what, how fast is the answer, and what fails?",
    processes=".*",
    rows=[
        Row(
            panels=[
                Panel(
                    title="Calls",
                    help="A second, by process.",
                    unit=Unit.PER_SECOND,
                    is_stacked=True,
                    queries=[Query(expression=f"process:faultline_rpc_requests:rate1m{{{MINE}}}")],
                ),
                Panel(
                    title="Share of errors",
                    help="Errors that the caller is told; a wallet's refused transactions are among them.",
                    unit=Unit.SHARE,
                    red_above=0.5,
                    reaches=1,
                    queries=[Query(expression=f"process:faultline_rpc_errors:ratio1m{{{MINE}}}")],
                ),
                Panel(
                    title="Open connections",
                    help="By transport.",
                    is_stacked=True,
                    queries=[
                        Query(
                            expression=f"sum by (transport) (faultline_rpc_connections{{{MINE}}})",
                            legend="{{transport}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Calls by method",
                    help="A second; the ten that are called most.",
                    unit=Unit.PER_SECOND,
                    is_stacked=True,
                    queries=[
                        Query(
                            expression=(
                                "topk(10, sum by (method) "
                                f"(rate(faultline_rpc_requests_total{{{MINE}}}[1m])))"
                            ),
                            legend="{{method}}",
                        )
                    ],
                ),
                Panel(
                    title="Errors by method",
                    help="A second. `unknown` is whatever is not in our table.",
                    unit=Unit.PER_SECOND,
                    is_stacked=True,
                    queries=[
                        Query(
                            expression=(
                                "topk(10, sum by (method) (rate(faultline_rpc_requests_total"
                                f'{{{MINE},outcome!="success"}}[1m])))'
                            ),
                            legend="{{method}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Time of an answer",
                    help="Half and 99 of 100 of all calls.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                f"histogram_quantile({share}, sum by (le) (rate("
                                f"faultline_rpc_request_seconds_bucket{{{MINE}}}[1m])))"
                            ),
                            legend=legend,
                        )
                        for share, legend in ((0.5, "half"), (0.99, "99 of 100"))
                    ],
                ),
                Panel(
                    title="99 of 100, by process",
                    help="Without the method that waits for a block on purpose.",
                    unit=Unit.SECONDS,
                    red_above=1,
                    queries=[
                        Query(expression=f"process:faultline_rpc_request_seconds:p99{{{MINE}}}")
                    ],
                ),
                Panel(
                    title="Slowest methods",
                    help="Mean of the last five minutes.",
                    kind=Kind.BARS,
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                "topk(8, sum by (method) "
                                f"(rate(faultline_rpc_request_seconds_sum{{{MINE}}}[5m]))\n"
                                "/ (sum by (method) "
                                f"(rate(faultline_rpc_request_seconds_count{{{MINE}}}[5m])) > 0))"
                            ),
                            legend="{{method}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Transactions offered to the L1 pools",
                    help="A second, by where from and what became of them.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum by (source, outcome) "
                                f"(rate(faultline_txpool_offered_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{source}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Transactions offered to the sequencer",
                    help="A second, by what became of them.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum by (outcome) "
                                "(rate(faultline_sequencer_transactions_offered_total[1m]))"
                            ),
                            legend="{{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Bugs of ours",
                    help="Calls that crashed, messages whose handler did. 0.",
                    kind=Kind.NUMBERS,
                    red_above=1,
                    queries=[
                        Query(
                            expression=(
                                f'sum(faultline_rpc_requests_total{{{MINE},outcome="crash"}})'
                            ),
                            legend="calls",
                        ),
                        Query(
                            expression=f"sum(faultline_p2p_handler_bugs_total{{{MINE}}})",
                            legend="messages",
                        ),
                    ],
                ),
            ]
        ),
    ],
)
"""The page."""
