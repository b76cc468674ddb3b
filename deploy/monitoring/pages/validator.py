"""Do validators propose and vote in time, and does it count?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import MINE, Dashboard, Kind, Panel, Query, Row, Unit

VALIDATOR: Final = Dashboard(
    uid="faultline-validator",
    title="Faultline: validators",
    about="Do they propose and vote in time, and does it count?",
    processes="validator-.*",
    rows=[
        Row(
            panels=[
                Panel(
                    title="Participation",
                    help="Share of the weight whose votes were heard; 1 is normal, under 2/3 nothing is justified.",
                    unit=Unit.SHARE,
                    red_below=0.67,
                    reaches=1,
                    queries=[
                        Query(expression=f"faultline_consensus_participation_ratio{{{MINE}}}")
                    ],
                ),
                Panel(
                    title="Epoch: clock, justified, finalized",
                    help="Of the process that is furthest behind: justified is one behind the clock, finalized two.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(
                            expression=f"max(faultline_consensus_epoch{{{MINE}}})", legend="clock"
                        ),
                        Query(
                            expression=f"min(faultline_consensus_justified_epoch{{{MINE}}})",
                            legend="justified",
                        ),
                        Query(
                            expression=f"min(faultline_consensus_finalized_epoch{{{MINE}}})",
                            legend="finalized",
                        ),
                    ],
                ),
                Panel(
                    title="Epochs since finality",
                    help="1 or 2 is normal.",
                    red_above=5,
                    queries=[Query(expression=f"process:faultline_finality_lag:epochs{{{MINE}}}")],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Blocks proposed",
                    help="A minute; validators take turns by lot.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "increase(faultline_validator_duties_total"
                                f'{{{MINE},duty="propose",outcome="done"}}[1m])'
                            )
                        )
                    ],
                ),
                Panel(
                    title="Votes by outcome",
                    help="A minute. Done and head_only are normal; late, failed and refused are not.",
                    unit=Unit.PER_MINUTE,
                    is_stacked=True,
                    queries=[
                        Query(
                            expression=(
                                "sum by (outcome) (increase(faultline_validator_duties_total"
                                f'{{{MINE},duty="vote"}}[1m]))'
                            ),
                            legend="{{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Duties not done",
                    help="A minute, votes and blocks; 0 is normal. The votes' outcomes are beside this.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "sum by (process) (increase("
                                "faultline_validator_duties_total"
                                f'{{{MINE},outcome=~"refused|late|failed|unknown|rested|withheld"}}'
                                "[1m]))"
                            )
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="When blocks leave",
                    help="Nine of ten, after the start of their slot; votes count what is there after 0.4 of it.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                "histogram_quantile(0.9, sum by (process, le) (rate("
                                f"faultline_validator_proposed_seconds_bucket{{{MINE}}}[5m])))"
                            )
                        )
                    ],
                ),
                Panel(
                    title="When votes leave",
                    help="Nine of ten, after the start of their slot.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                "histogram_quantile(0.9, sum by (process, le) (rate("
                                f"faultline_validator_voted_seconds_bucket{{{MINE}}}[1m])))"
                            )
                        )
                    ],
                ),
                Panel(
                    title="A block's way in",
                    help="Nine of ten: judged by consensus, executed, saved, and the whole import.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                "histogram_quantile(0.9, sum by (le) (rate("
                                f"{name}_bucket{{{MINE}}}[1m])))"
                            ),
                            legend=legend,
                        )
                        for name, legend in (
                            ("faultline_consensus_check_seconds", "judged"),
                            ("faultline_engine_execute_seconds", "executed"),
                            ("faultline_storage_save_seconds", "saved"),
                            ("faultline_chain_import_seconds", "whole"),
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Transactions that wait",
                    help="In each validator's pool; pools agree within a second.",
                    queries=[
                        Query(
                            expression=f"faultline_txpool_transactions{{{MINE}}}",
                            legend="{{process}} {{state}}",
                        )
                    ],
                ),
                Panel(
                    title="Blocks and votes offered",
                    help="A second, by what became of them: copies of what is known are normal.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum by (outcome) "
                                f"(rate(faultline_chain_imports_total{{{MINE}}}[1m]))"
                            ),
                            legend="blocks {{outcome}}",
                        ),
                        Query(
                            expression=(
                                "sum by (outcome) "
                                f"(rate(faultline_consensus_votes_total{{{MINE}}}[1m]))"
                            ),
                            legend="votes {{outcome}}",
                        ),
                    ],
                ),
                Panel(
                    title="Rules broken by validators",
                    help="Evidence seen, and conflicting finality. 0 unless somebody is punished.",
                    kind=Kind.NUMBERS,
                    red_above=1,
                    queries=[
                        Query(
                            expression=f"max(faultline_consensus_evidence_total{{{MINE}}})",
                            legend="evidence",
                        ),
                        Query(
                            expression=f"max(faultline_consensus_safety_faults_total{{{MINE}}})",
                            legend="conflicting finality",
                        ),
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Blobs that blocks wait for",
                    help="0 is normal: blobs come before their block. More for long: a proposer keeps them back.",
                    queries=[Query(expression=f"faultline_blobs_wanted{{{MINE}}}")],
                ),
                Panel(
                    title="Blobs checked",
                    help="A minute: each once, when it comes. Wrong ones are a peer's or a wallet's.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "sum by (outcome) "
                                f"(increase(faultline_blobs_checked_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Blobs kept",
                    help="For two hours and a quarter, 512 MiB at most.",
                    unit=Unit.BYTES,
                    reaches=131_072,
                    queries=[Query(expression=f"faultline_blobs_kept_bytes{{{MINE}}}")],
                ),
            ]
        ),
    ],
)
"""The page."""
