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
                    title="Processes down",
                    help="0 is normal: all seven of the default devnet answer.",
                    kind=Kind.NUMBERS,
                    red_above=1,
                    queries=[
                        Query(
                            expression='count(up{job="faultline"} == 0) or vector(0)',
                            legend="down",
                        )
                    ],
                ),
                Panel(
                    title="L1 head, final",
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
                Panel(
                    title="L2 head, safe",
                    help="The highest of all processes. Safe is what L1 holds, seconds behind.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(
                            expression='max(faultline_chain_head_number{layer="l2"})',
                            legend="head",
                        ),
                        Query(
                            expression='max(faultline_chain_safe_number{layer="l2"})',
                            legend="safe",
                        ),
                    ],
                ),
                Panel(
                    title="Versions",
                    help="How many processes run which; one is normal.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(
                            expression="count by (version) (faultline_build_info)",
                            legend="{{version}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            panels=[
                Panel(
                    title="L1 blocks behind the highest head",
                    help="0, and 1 while a block travels. A bundle of lines above 0 is a fork, one line is cut off.",
                    queries=[
                        Query(
                            expression=(
                                'scalar(max(faultline_chain_head_number{layer="l1"})) '
                                f'- faultline_chain_head_number{{{MINE},layer="l1"}}'
                            )
                        )
                    ],
                ),
                Panel(
                    title="L1 slots since the head",
                    help="0, and 1 or 2 for a missed slot.",
                    red_above=6,
                    queries=[Query(expression=f"process:faultline_head_lag:slots{{{MINE}}}")],
                ),
                Panel(
                    title="Blocks dropped by reorganisations",
                    help="In the last minute, the most of any process. 0 is normal; a healed partition shows its depth.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "max by (layer) (increase("
                                f"faultline_chain_reorg_depth_blocks_sum{{{MINE}}}[1m]))"
                            ),
                            legend="{{layer}}",
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
                    help="In and out together; votes make most of an idle devnet's.",
                    unit=Unit.BYTES_PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum without (direction) "
                                f"(rate(faultline_p2p_bytes_total{{{MINE}}}[1m]))"
                            )
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Gossip by topic and outcome",
                    help="Duplicates are the price of a mesh; rejected, dropped and failed should be rare.",
                    unit=Unit.PER_SECOND,
                    is_stacked=True,
                    has_many=True,
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
                    unit=Unit.PER_MINUTE,
                    has_many=True,
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
            panels=[
                Panel(
                    title="Memory, share of the limit",
                    help="Of the container's limit, or of the machine's memory.",
                    kind=Kind.BARS,
                    unit=Unit.SHARE,
                    red_above=0.85,
                    queries=[
                        Query(expression=f"sort_desc(process:faultline_memory:ratio{{{MINE}}})")
                    ],
                ),
                Panel(
                    title="Disk left",
                    help="Share of the disk that the store lies on.",
                    kind=Kind.BARS,
                    unit=Unit.SHARE,
                    red_below=0.05,
                    queries=[
                        Query(expression=f"sort(process:faultline_disk_free:ratio{{{MINE}}})")
                    ],
                ),
                Panel(
                    title="Stores",
                    help="Bytes that each process keeps.",
                    kind=Kind.BARS,
                    unit=Unit.BYTES,
                    queries=[
                        Query(expression=f"sort_desc(faultline_storage_used_bytes{{{MINE}}})")
                    ],
                ),
            ],
        ),
    ],
)
"""The page."""
