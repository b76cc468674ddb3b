"""Is what the L2 owes locked on L1, are claims made, and are lies disproved?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import MINE, Dashboard, Kind, Panel, Query, Row, Unit

BRIDGE: Final = Dashboard(
    uid="faultline-bridge",
    title="Faultline: bridge",
    about="Is what the L2 owes locked on L1, are claims made, and are lies disproved?",
    processes="bridge|watchtower",
    rows=[
        Row(
            panels=[
                Panel(
                    title="Locked on L1, owed by the L2",
                    help="Locked is never less: deposits lock first, withdrawals burn first.",
                    unit=Unit.ETHER,
                    is_height=True,
                    queries=[
                        Query(
                            expression="max(faultline_bridge_locked_wei) / 1e18", legend="locked"
                        ),
                        Query(expression="max(faultline_l2_supply_wei) / 1e18", legend="owed"),
                    ],
                ),
                Panel(
                    title="Locked, of what is owed",
                    help="100 % or more.",
                    kind=Kind.NUMBERS,
                    unit=Unit.SHARE,
                    red_below=1,
                    queries=[
                        Query(expression=f"process:faultline_bridge_collateral:ratio{{{MINE}}}")
                    ],
                ),
                Panel(
                    title="Lies disproved",
                    help="Faults that the watchtower proved.",
                    kind=Kind.NUMBERS,
                    queries=[
                        Query(
                            expression="max(faultline_bridge_faults_proven_total)", legend="proven"
                        )
                    ],
                ),
                Panel(
                    title="Lies not disproved",
                    help="Proofs that are stuck, lies that were accepted. 0.",
                    kind=Kind.NUMBERS,
                    red_above=1,
                    queries=[
                        Query(expression="max(faultline_bridge_faults_stuck)", legend="stuck"),
                        Query(
                            expression="max(faultline_bridge_lies_that_stand)", legend="accepted"
                        ),
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="L2 blocks: safe, claimed, anchored",
                    help="Claims follow the safe head, the anchor follows the claims by a window.",
                    is_height=True,
                    queries=[
                        Query(
                            expression='faultline_chain_safe_number{process="bridge",layer="l2"}',
                            legend="safe",
                        ),
                        Query(expression="faultline_bridge_claimed_block", legend="claimed"),
                        Query(expression="faultline_bridge_anchor_block", legend="anchor"),
                    ],
                ),
                Panel(
                    title="How long safe blocks wait for a claim",
                    help="Up to the output interval and a little more.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression="faultline_bridge_unclaimed_age_seconds", legend="waiting"
                        ),
                        Query(
                            expression="30 + 3 * faultline_bridge_output_interval_seconds",
                            legend="alert above",
                        ),
                    ],
                ),
                Panel(
                    title="Open games by verdict",
                    help="As the watchtower judges them: honest is normal, false and orphan fall within seconds.",
                    is_stacked=True,
                    queries=[
                        Query(
                            expression="sum by (verdict) (faultline_bridge_open_games)",
                            legend="{{verdict}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Games",
                    help="A minute: made, stands, lost.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "max by (outcome) (increase(faultline_bridge_games_total[1m]))"
                            ),
                            legend="{{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Outputs and games that wait",
                    help="Outputs of this proposer a minute, and true games that wait for their outcome.",
                    queries=[
                        Query(
                            expression="increase(faultline_bridge_outputs_total[1m])",
                            legend="outputs",
                        ),
                        Query(expression="faultline_bridge_waiting_games", legend="waiting"),
                    ],
                ),
                Panel(
                    title="Withdrawals the relayer was asked for",
                    help="By where they stand.",
                    is_stacked=True,
                    queries=[
                        Query(
                            expression="sum by (state) (faultline_bridge_withdrawals)",
                            legend="{{state}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Accounts on L1",
                    help="What each role has left; the proposer's falls by the bonds of open games.",
                    unit=Unit.ETHER,
                    queries=[
                        Query(
                            expression=f"faultline_bridge_account_wei{{{MINE}}} / 1e18",
                            legend="{{role}}",
                        )
                    ],
                ),
                Panel(
                    title="Transactions to L1",
                    help="A minute, by role and kind; raised ones were too cheap.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "sum by (role, kind) (increase("
                                f"faultline_bridge_transactions_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{role}} {{kind}}",
                        )
                    ],
                ),
                Panel(
                    title="Wanted and in flight",
                    help="What each role wants on L1 now, and what is on its way.",
                    queries=[
                        Query(
                            expression=f"faultline_bridge_transactions_wanted{{{MINE}}}",
                            legend="{{role}} wanted",
                        ),
                        Query(
                            expression=f"faultline_bridge_transactions_in_flight{{{MINE}}}",
                            legend="{{role}} in flight",
                        ),
                    ],
                ),
                Panel(
                    title="L1 blocks not judged",
                    help="Whose games the watchtower has not looked at yet: 0 or 1.",
                    red_above=8,
                    queries=[
                        Query(
                            expression=(
                                'faultline_chain_head_number{layer="l1"} '
                                "- ignoring (layer) faultline_bridge_judged_l1_number"
                            )
                        )
                    ],
                ),
            ]
        ),
    ],
)
"""The page."""
