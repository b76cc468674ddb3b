"""Is everybody there, do they agree, and is there room?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import MINE, Dashboard, Kind, Panel, Query, Row, Unit

NETWORK: Final = Dashboard(
    uid="faultline-network",
    title="Faultline: network",
    about="Is everybody there, do they agree, and is there room?",
    processes=".*",
    rows=[
        Row(
            height=4,
            panels=[
                Panel(
                    title="Alerts firing",
                    help="0 is normal. The page Alerts of Prometheus has their runbooks.",
                    kind=Kind.NUMBERS,
                    red_above=1,
                    queries=[
                        Query(
                            expression='count(ALERTS{alertstate="firing"}) or vector(0)',
                            legend="firing",
                        )
                    ],
                ),
                Panel(
                    title="Processes up",
                    help="All seven of the default devnet.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(expression='sum(up{job="faultline"})', legend="up"),
                        Query(expression='count(up{job="faultline"})', legend="known"),
                    ],
                ),
                Panel(
                    title="L1 head and finalized",
                    help="The highest of all processes. Finalized is some four blocks behind.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(
                            expression='max(faultline_chain_head_number{layer="l1"})',
                            legend="head",
                        ),
                        Query(
                            expression='max(faultline_chain_finalized_number{layer="l1"})',
                            legend="finalized",
                        ),
                    ],
                ),
                Panel(
                    title="Finality lag",
                    help="Epochs since the finalized one; 1 or 2 is normal, more than 5 an alert.",
                    kind=Kind.NUMBERS,
                    red_above=5,
                    queries=[
                        Query(
                            expression="max(process:faultline_finality_lag:epochs)", legend="epochs"
                        )
                    ],
                ),
            ],
        ),
        Row(
            panels=[
                Panel(
                    title="L1 heads",
                    help="One line over the other: everybody has the same head. Two bundles are a fork.",
                    queries=[Query(expression=f'faultline_chain_head_number{{{MINE},layer="l1"}}')],
                ),
                Panel(
                    title="L1 slots since the head",
                    help="0, and 1 or 2 for a missed slot.",
                    red_above=6,
                    queries=[Query(expression=f"process:faultline_head_lag:slots{{{MINE}}}")],
                ),
                Panel(
                    title="Blocks dropped by reorganisations",
                    help="In the last minute. 0 is normal; a healed partition shows its depth.",
                    queries=[
                        Query(
                            expression=f"increase(faultline_chain_reorg_depth_blocks_sum{{{MINE}}}[1m])",
                            legend="{{process}} {{layer}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Peers",
                    help="Everybody else: a devnet is a full mesh.",
                    queries=[Query(expression=f"faultline_p2p_peers{{{MINE}}}")],
                ),
                Panel(
                    title="Bytes on peers' sockets",
                    help="Both ways; votes make most of an idle devnet's.",
                    unit=Unit.BYTES_PER_SECOND,
                    queries=[
                        Query(
                            expression=f"rate(faultline_p2p_bytes_total{{{MINE}}}[1m])",
                            legend="{{process}} {{direction}}",
                        )
                    ],
                ),
                Panel(
                    title="Gossip by topic and outcome",
                    help="Duplicates are the price of a mesh; rejected, dropped and failed should be rare.",
                    unit=Unit.PER_SECOND,
                    is_stacked=True,
                    queries=[
                        Query(
                            expression=(
                                "sum by (topic, outcome) "
                                f"(rate(faultline_p2p_messages_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{topic}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Peers blamed",
                    help="By reason, in the last minute. 0 unless somebody sends nonsense.",
                    queries=[
                        Query(
                            expression=(
                                "sum by (reason) "
                                f"(increase(faultline_p2p_misbehaviour_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{reason}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Processor",
                    help="Cores in use. A loop that needs a whole one is late with everything.",
                    unit=Unit.SHARE,
                    queries=[
                        Query(
                            expression=f'rate(process_cpu_seconds_total{{job="faultline",{MINE}}}[1m])'
                        )
                    ],
                ),
                Panel(
                    title="Memory",
                    help="Resident; processes forked from one launcher share some of it.",
                    unit=Unit.BYTES,
                    queries=[
                        Query(expression=f'process_resident_memory_bytes{{job="faultline",{MINE}}}')
                    ],
                ),
                Panel(
                    title="Loop delay",
                    help="How late the event loop woke; milliseconds are normal.",
                    unit=Unit.SECONDS,
                    red_above=0.8,
                    queries=[Query(expression=f"faultline_runtime_loop_delay_seconds{{{MINE}}}")],
                ),
            ]
        ),
        Row(
            height=6,
            panels=[
                Panel(
                    title="Memory, share of the limit",
                    help="Of the container's limit, or of the machine's memory.",
                    kind=Kind.BARS,
                    unit=Unit.SHARE,
                    red_above=0.85,
                    queries=[Query(expression=f"process:faultline_memory:ratio{{{MINE}}}")],
                ),
                Panel(
                    title="Disk left",
                    help="Share of the disk that the store lies on.",
                    kind=Kind.BARS,
                    unit=Unit.SHARE,
                    red_below=0.05,
                    queries=[Query(expression=f"process:faultline_disk_free:ratio{{{MINE}}}")],
                ),
                Panel(
                    title="Stores",
                    help="Bytes that each process keeps.",
                    kind=Kind.BARS,
                    unit=Unit.BYTES,
                    queries=[Query(expression=f"faultline_storage_used_bytes{{{MINE}}}")],
                ),
                Panel(
                    title="Versions",
                    help="All the same.",
                    kind=Kind.TABLE,
                    queries=[
                        Query(
                            expression=f"count by (version) (faultline_build_info{{{MINE}}})",
                            legend="{{version}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
"""The page."""
