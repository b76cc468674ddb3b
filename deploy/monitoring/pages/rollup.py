"""Does the sequencer seal, does the batcher post, and does everybody derive the same?"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.panels import MINE, Dashboard, Kind, Panel, Query, Row, Unit

FOLLOWERS: Final = "sequencer|bridge|watchtower|replica.*"
"""Everybody who has the L2."""

ROLLUP: Final = Dashboard(
    uid="faultline-rollup",
    title="Faultline: rollup",
    about="Does the sequencer seal, does the batcher post, and does everybody derive the same?",
    processes=FOLLOWERS,
    rows=[
        Row(
            panels=[
                Panel(
                    title="L2 heads",
                    help="Sealed (latest), on L1 (safe), on final L1 (finalized), of the sequencer.",
                    is_height=True,
                    queries=[
                        Query(expression=f'{name}{{process="sequencer",layer="l2"}}', legend=legend)
                        for name, legend in (
                            ("faultline_chain_head_number", "latest"),
                            ("faultline_chain_safe_number", "safe"),
                            ("faultline_chain_finalized_number", "finalized"),
                        )
                    ],
                ),
                Panel(
                    title="Blocks that are not safe yet",
                    help="As each process derives; a few seconds' worth is normal.",
                    queries=[Query(expression=f"process:faultline_safe_lag:blocks{{{MINE}}}")],
                ),
                Panel(
                    title="L2 blocks dropped",
                    help="By reorganisations in the last minute; 0 is normal.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=f'increase(faultline_chain_reorg_depth_blocks_sum{{{MINE},layer="l2"}}[1m])'
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Blocks and transactions sealed",
                    help="A second.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression='rate(faultline_sequencer_blocks_total{process="sequencer"}[1m])',
                            legend="blocks",
                        ),
                        Query(
                            expression='rate(faultline_sequencer_transactions_total{process="sequencer"}[1m])',
                            legend="transactions",
                        ),
                    ],
                ),
                Panel(
                    title="Time to seal a block",
                    help="Half and 99 of 100; milliseconds.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression=(
                                f"histogram_quantile({share}, sum by (le) (rate("
                                'faultline_sequencer_seal_seconds_bucket{process="sequencer"}[1m])))'
                            ),
                            legend=legend,
                        )
                        for share, legend in ((0.5, "half"), (0.99, "99 of 100"))
                    ],
                ),
                Panel(
                    title="Transactions that wait for a block",
                    help="Ready ones go within milliseconds; nonce_gap waits for its user, held for the operator.",
                    queries=[
                        Query(
                            expression='faultline_sequencer_waiting_transactions{process="sequencer"}',
                            legend="{{state}}",
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Age of the oldest block without a batch",
                    help="Up to the batch interval and a little more.",
                    unit=Unit.SECONDS,
                    queries=[
                        Query(
                            expression='faultline_sequencer_unposted_age_seconds{process="sequencer"}',
                            legend="oldest",
                        ),
                        Query(
                            expression=(
                                "10 + 3 * "
                                'faultline_sequencer_batch_interval_seconds{process="sequencer"}'
                            ),
                            legend="alert above",
                        ),
                    ],
                ),
                Panel(
                    title="Unposted blocks, batches in flight",
                    help="Blocks that wait, and batches that L1 does not hold yet.",
                    queries=[
                        Query(
                            expression='faultline_sequencer_unposted_blocks{process="sequencer"}',
                            legend="blocks",
                        ),
                        Query(
                            expression='faultline_sequencer_batches_in_flight{process="sequencer"}',
                            legend="batches",
                        ),
                    ],
                ),
                Panel(
                    title="Batches",
                    help="A minute: posted, sent again, given up, refused by L1's pool.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=f'increase({name}{{process="sequencer"}}[1m])',
                            legend=legend,
                        )
                        for name, legend in (
                            ("faultline_sequencer_batches_total", "posted"),
                            ("faultline_sequencer_batches_resent_total", "sent again"),
                            ("faultline_sequencer_batches_abandoned_total", "given up"),
                            ("faultline_sequencer_batches_refused_total", "refused"),
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="Bytes of batches",
                    help="A second, compressed: what the L2 pays L1 for.",
                    unit=Unit.BYTES_PER_SECOND,
                    queries=[
                        Query(
                            expression='rate(faultline_sequencer_batch_bytes_total{process="sequencer"}[1m])',
                            legend="bytes",
                        )
                    ],
                ),
                Panel(
                    title="Bytes for a transaction",
                    help="Of the last batch that held some.",
                    kind=Kind.NUMBERS,
                    unit=Unit.BYTES,
                    queries=[
                        Query(
                            expression='faultline_sequencer_bytes_per_transaction{process="sequencer"}',
                            legend="bytes",
                        )
                    ],
                ),
                Panel(
                    title="Records derived",
                    help="A minute, by kind: batch is normal, forced is the sequencer's absence.",
                    unit=Unit.PER_MINUTE,
                    queries=[
                        Query(
                            expression=(
                                "sum by (process, kind) "
                                f"(increase(faultline_deriving_records_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{process}} {{kind}}",
                        )
                    ],
                ),
                Panel(
                    title="Forced, empty and dropped",
                    help="A minute; 0 is normal. Forced records, records without content, resets, equivocations.",
                    unit=Unit.PER_MINUTE,
                    red_above=1,
                    queries=[
                        Query(expression=f"sum(increase({name}{{{MINE}}}[1m]))", legend=legend)
                        for name, legend in (
                            ("faultline_sequencer_forced_records_total", "forced"),
                            ("faultline_deriving_records_without_content_total", "no content"),
                            ("faultline_deriving_resets_total", "resets"),
                            ("faultline_unsafe_equivocations_total", "equivocations"),
                        )
                    ],
                ),
            ]
        ),
        Row(
            panels=[
                Panel(
                    title="L1 blocks not derived yet",
                    help="0 or 1.",
                    queries=[
                        Query(
                            expression=(
                                f'faultline_chain_head_number{{{MINE},layer="l1"}} '
                                f"- ignoring (layer) faultline_deriving_l1_number{{{MINE}}}"
                            )
                        )
                    ],
                ),
                Panel(
                    title="Blocks derived",
                    help="A second: matched is what the sequencer had said before, executed is news.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum by (process, outcome) "
                                f"(rate(faultline_deriving_blocks_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{process}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    title="Unsafe blocks followed",
                    help="A second: what replicas take from the sequencer before L1 has it.",
                    unit=Unit.PER_SECOND,
                    queries=[
                        Query(
                            expression=(
                                "sum by (process, outcome) "
                                f"(rate(faultline_unsafe_blocks_total{{{MINE}}}[1m]))"
                            ),
                            legend="{{process}} {{outcome}}",
                        )
                    ],
                ),
            ]
        ),
    ],
)
"""The page."""
