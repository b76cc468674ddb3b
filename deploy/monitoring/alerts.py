"""What Prometheus warns of, each with the fault that fires it (tests/e2e/test_alerts.py plays them all).

Thresholds count slots, epochs and blocks where they can, so that they hold for slots of 2 s and of 12 s.
"""

from __future__ import annotations

from typing import Final

from deploy.monitoring.recordings import RECORDING_GROUP
from deploy.monitoring.rules import Alert, Group, Severity

L1_MOVED: Final = (
    'faultline_chain_head_number{layer="l1"}\n'
    '      - faultline_chain_head_number{layer="l1"} offset 1m >= 3'
)
"""L1 made three blocks in a minute, of five with slots of 12 s: what stands still beside it does so for its own reasons."""

PROCESSES: Final = (
    Alert(
        name="NothingToScrape",
        expression='absent(up{job="faultline"})',
        for_s=10,
        severity=Severity.CRITICAL,
        summary="Prometheus knows of no process",
        meaning="No target file names a process, so no other alert can fire.",
        runbook="Look whether targets/*.json beside prometheus.yml exists; `faultline up` writes it.",
        fault="move targets/*.json away",
    ),
    Alert(
        name="ProcessDown",
        expression='up{job="faultline"} == 0',
        for_s=6,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} does not answer",
        meaning="The process ended, hangs, or its loop is too busy to answer a scrape within 2 s.",
        runbook="`faultline status`, then `faultline logs {{ $labels.process }}`; `faultline processes start {{ $labels.process }}` brings it back.",
        fault="faultline processes stop validator-1",
    ),
    Alert(
        name="ProcessRestarts",
        expression='changes(process_start_time_seconds{job="faultline"}[2m]) >= 2',
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} started {{ $value }} times more within 2 minutes",
        meaning="The process ends again and again; the supervisor restarts it with growing pauses and gives up after eight.",
        runbook="`faultline status` says how it ended, `faultline logs {{ $labels.process }}` why.",
        fault="faultline processes restart watchtower, twice",
    ),
    Alert(
        name="LoopLate",
        expression="max_over_time(faultline_runtime_loop_delay_seconds[10s]) > 0.8",
        for_s=6,
        severity=Severity.WARNING,
        summary="the loop of {{ $labels.process }} is {{ $value | humanizeDuration }} late",
        meaning="Something holds the event loop or the machine has no processor left: votes and blocks will be late.",
        runbook="Look at the processor panel; fewer processes or longer slots (`--slot-seconds`) help where all are late.",
        fault="SIGSTOP for 1.5 s, SIGCONT, again and again",
    ),
    Alert(
        name="MemoryNearLimit",
        expression="process:faultline_memory:ratio > 0.85",
        for_s=6,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} has {{ $value | humanizePercentage }} of the memory it may take",
        meaning="The kernel ends the process when it reaches the limit of its control group.",
        runbook="Give the container more (`mem_limit`), or lower engine.cache_mb in the manifest, then restart the process.",
        fault="put it into a control group whose limit is a little above what it has",
    ),
    Alert(
        name="DiskNearlyFull",
        expression="process:faultline_disk_free:ratio < 0.05",
        for_s=6,
        severity=Severity.CRITICAL,
        summary="the disk of {{ $labels.process }} has {{ $value | humanizePercentage }} left",
        meaning="A process that cannot save stops, so as not to tell others what it would forget.",
        runbook="Free space; `faultline reset --yes` deletes a devnet that is not needed, and a lower engine.history_blocks keeps less.",
        fault="fill the disk that the data folder lies on",
    ),
    Alert(
        name="OpenFilesNearLimit",
        expression="process_open_fds / process_max_fds > 0.8",
        for_s=6,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} has {{ $value | humanizePercentage }} of its open files in use",
        meaning="Each connection is an open file; at the limit no new one is taken, from wallets or from peers.",
        runbook="Look who holds connections (faultline_rpc_connections, faultline_p2p_peers); raise `ulimit -n` before `faultline up`.",
        fault="prlimit --nofile on the process",
    ),
    Alert(
        name="InternalError",
        expression=(
            'sum by (process) (faultline_rpc_requests_total{outcome="crash"}) > 0\n'
            "or faultline_p2p_handler_bugs_total > 0"
        ),
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} failed {{ $value }} times for reasons of its own",
        meaning="A call or a peer's message raised what nobody foresaw: a bug of ours, or data that somebody changed. Whoever asked got -32603.",
        runbook="`faultline logs {{ $labels.process }}` has the traceback: please report it, unless somebody changed the data. Clears when the process is restarted.",
        fault="change a row of the bridge's withdrawals.sqlite by hand while it is stopped, and ask for that withdrawal",
    ),
)

CONSENSUS: Final = (
    Alert(
        name="FinalityStalled",
        expression="process:faultline_finality_lag:epochs > 5",
        for_s=4,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} has finalized nothing for {{ $value }} epochs",
        meaning="Less than two thirds of the weight agree, or cannot hear each other. Withdrawals and `finalized` wait.",
        runbook="`faultline status` (who is down?), `faultline break active` (a partition?); `faultline break heal` and starting what is down bring it back within 5 slots.",
        fault="faultline break partition groups=validator-0,validator-1/validator-2,validator-3,sequencer,bridge,watchtower",
    ),
    Alert(
        name="HeadStalled",
        expression="process:faultline_head_lag:slots > 6",
        for_s=4,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} has had no new L1 block for {{ $value }} slots",
        meaning="Nobody proposes, or this process hears nobody who does.",
        runbook="If all say so: start the validators. If one does: look at its peers and at its log.",
        fault="faultline break miss-slots count=100 --on all",
    ),
    Alert(
        name="NodeBehind",
        expression=(
            'max(faultline_chain_head_number{layer="l1"})\n'
            '- on () group_right () faultline_chain_head_number{layer="l1"} > 5'
        ),
        for_s=6,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} is {{ $value }} L1 blocks behind the highest",
        meaning="It is cut off, still catching up, or too slow.",
        runbook="Look at its peers, its loop and its log; it catches up by itself once it hears the others.",
        fault="faultline break partition groups=validator-3/(all others)",
    ),
    Alert(
        name="ParticipationLow",
        expression="faultline_consensus_silent_slots >= 4",
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} has heard votes of less than two thirds of the weight for {{ $value }} slots",
        meaning="Under two thirds nothing new is justified, and finality stalls soon.",
        runbook='Find the validators that do not vote: faultline_validator_duties_total{duty="vote"} by process.',
        fault="faultline break withhold-votes slots=60 --on validator-2 --on validator-3",
    ),
    Alert(
        name="DeepReorganisation",
        expression=(
            'increase(faultline_chain_reorg_depth_blocks_count{layer="l1"}[1m])\n'
            "- ignoring (le)\n"
            '  increase(faultline_chain_reorg_depth_blocks_bucket{layer="l1",le="4.0"}[1m]) > 0'
        ),
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} dropped more than four L1 blocks at once",
        meaning="Two branches grew beside each other: transactions of the dropped one wait again. Never below `finalized`.",
        runbook="Expected after a partition heals. Otherwise look for late blocks (faultline_validator_proposed_seconds) and lost peers.",
        fault="a partition in halves for some 30 s, then faultline break heal",
    ),
    Alert(
        name="ValidatorMisbehaved",
        expression="increase(faultline_consensus_evidence_total[1m]) > 0",
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} caught a validator breaking a rule",
        meaning="Somebody signed two blocks of one slot or two contradicting votes; a block will carry the proof, and it is slashed.",
        runbook="`devnet_consensus` tells who. Look for one key in two processes, or a signer database that was put back.",
        fault="faultline break equivocate --on validator-3",
    ),
    Alert(
        name="BlobsWithheld",
        # A block may overtake its blobs, but not by two slots.
        expression="max_over_time(faultline_chain_blobs_awaited_slots[1m]) >= 2",
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} waits for a block's blobs, for {{ $value }} slots so far",
        meaning="A proposer keeps the blobs of its block back, or has lost them. Nobody votes for that block; the chain goes on beside it.",
        runbook="`faultline break active` (withhold-blobs?); `block_waits_for_blobs` in the log names the block and who sent it. Its transactions wait in its proposer's pool.",
        fault="faultline break withhold-blobs --on validator-2, and a blob transaction for it",
    ),
    Alert(
        name="ConflictingFinality",
        expression="faultline_consensus_safety_faults_total > 0",
        for_s=0,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} saw two finalized blocks that contradict each other",
        meaning="A third of the weight or more broke the rules. Nothing is signed any more; people have to choose a branch.",
        runbook="`devnet_consensus` names both checkpoints and who signed for both; a devnet starts anew with `faultline up --fresh`.",
        fault="a partition in halves, and a copy of a validator's folder run on each other side",
    ),
    Alert(
        name="SignerRefused",
        expression='sum by (process) (increase(faultline_validator_duties_total{outcome="refused"}[1m])) > 0',
        for_s=0,
        severity=Severity.WARNING,
        summary="the signer of {{ $labels.process }} refused {{ $value }} duties in a minute",
        meaning="Its history forbids what it was asked to sign: the clock went back, or another process signed with the same key.",
        runbook="Compare clocks; make sure that no second process has the keys. Never delete the signer's history.",
        fault="faultline break clock-skew ms=40000 --on validator-2; after ten slots faultline processes restart validator-2",
    ),
    Alert(
        name="PeersLost",
        expression='faultline_p2p_peers < on () group_left () (sum(up{job="faultline"}) - 1)',
        for_s=10,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} has {{ $value }} peers, fewer than there are processes",
        meaning="A devnet is a full mesh: a process that runs and is not connected was cut off or blamed.",
        runbook="`faultline break active` (a partition?), faultline_p2p_misbehaviour_total (blamed, and why?), then its log.",
        fault="faultline break partition groups=validator-3/(all others)",
    ),
    Alert(
        name="PeerMisbehaved",
        expression="sum by (process) (increase(faultline_p2p_misbehaviour_total[1m])) > 0",
        for_s=0,
        severity=Severity.INFO,
        summary="{{ $labels.process }} blamed a peer {{ $value }} times in a minute",
        meaning="Somebody sent what no honest node sends; enough of it and he is put off for a while.",
        runbook="The label `reason` of faultline_p2p_misbehaviour_total says what; the log says who.",
        fault="a stranger that gossips nonsense; rule test",
    ),
)

ROLLUP: Final = (
    Alert(
        name="SequencerStalled",
        expression=(
            'changes(faultline_chain_head_number{layer="l2",process="sequencer"}[1m]) == 0\n'
            f"and ignoring (layer) ({L1_MOVED})"
        ),
        for_s=4,
        severity=Severity.CRITICAL,
        summary="the sequencer has sealed nothing for a minute while L1 went on",
        meaning="Transactions on the L2 wait. Deposits arrive all the same, by force, once the sequencing window has passed.",
        runbook="`faultline break active`, `faultline logs sequencer`; restarting it is safe: it reads the Inbox and goes on.",
        fault="faultline break sequencer-stop",
    ),
    Alert(
        name="BatcherBehind",
        expression=(
            "faultline_sequencer_unposted_age_seconds\n"
            "> 10 + 3 * faultline_sequencer_batch_interval_seconds"
        ),
        for_s=4,
        severity=Severity.WARNING,
        summary="the oldest L2 block that no batch carries has waited {{ $value | humanizeDuration }}",
        meaning="The batcher does not post, or L1's pool takes nothing. After the sequencing window others force empty blocks, and these are dropped.",
        runbook="Look at faultline_sequencer_batches_refused_total and at the batcher's balance on L1; then `faultline logs sequencer`.",
        fault="faultline break batcher-stall",
    ),
    Alert(
        name="SafeHeadStuck",
        expression=(
            'faultline_chain_head_number{layer="l2"} > faultline_chain_safe_number{layer="l2"}\n'
            'and changes(faultline_chain_safe_number{layer="l2"}[1m]) == 0\n'
            f"and ignoring (layer) ({L1_MOVED})\n"
            # Whoever posts once in a while wants a safe head that moves once in a while.
            "unless on () (faultline_sequencer_batch_interval_seconds > 10)"
        ),
        for_s=0,
        severity=Severity.WARNING,
        summary="the safe L2 head of {{ $labels.process }} has stood at one block for a minute",
        meaning="L1 goes on without records of the L2: what the L2 shows rests on the sequencer's word alone.",
        runbook="BatcherBehind as well: see there. On one process only: its deriver is stuck, see its log.",
        fault="faultline break batcher-stall",
    ),
    Alert(
        name="BlocksForced",
        expression="increase(faultline_sequencer_forced_records_total[1m]) > 0",
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} moved the Inbox on without the sequencer",
        meaning="Nothing was posted for a whole sequencing window; deposits arrive, in blocks without other transactions.",
        runbook="Bring the sequencer back (see SequencerStalled, BatcherBehind).",
        fault="faultline processes stop sequencer, for more than 30 L1 blocks",
    ),
    Alert(
        name="UnsafeBlocksDropped",
        expression="sum by (process) (increase(faultline_deriving_resets_total[1m])) > 0",
        for_s=0,
        severity=Severity.WARNING,
        summary="{{ $labels.process }} dropped unsafe L2 blocks {{ $value }} times in a minute",
        meaning="L1 was reorganised, or its records say otherwise than the sequencer did. Their transactions are included again.",
        runbook="The label `reason` tells which; after a reorganisation of L1 it is expected, otherwise look at what the batcher posts.",
        fault="faultline break garbage-batch",
    ),
    Alert(
        name="SequencerEquivocated",
        expression="increase(faultline_unsafe_equivocations_total[1m]) > 0",
        for_s=0,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} has two L2 blocks of one number, both signed by the sequencer",
        meaning="The sequencer's key is used twice, or lies. `latest` may differ between processes; `safe` does not.",
        runbook="Trust `safe` only. Look for a second sequencer with the same key.",
        fault="faultline break equivocate-unsafe, with transactions on the L2",
    ),
)

BRIDGE: Final = (
    Alert(
        name="FalseGameUnresolved",
        expression="faultline_bridge_oldest_lie_blocks > 5",
        for_s=0,
        severity=Severity.CRITICAL,
        summary="a false claim about the L2 has been open for {{ $value }} L1 blocks, says {{ $labels.process }}",
        meaning="The watchtower proves a lie within two or three L1 slots. One that stays open will count when its window ends.",
        runbook="Look at the challenger's balance, faultline_bridge_faults_stuck and the watchtower's log; the guardian's key can pause the bridge.",
        fault="faultline break false-output while the challenger has no money",
    ),
    Alert(
        name="FaultProofStuck",
        expression="faultline_bridge_faults_stuck > 0",
        for_s=0,
        severity=Severity.CRITICAL,
        summary="the proof against {{ $value }} false claims does not arrive on L1",
        meaning="It could not be made, or L1 has not taken it for several blocks.",
        runbook="`faultline logs watchtower` says why: no money, a full pool, a block that is too large to prove.",
        fault="faultline break false-output while the challenger has no money",
    ),
    Alert(
        name="LieStands",
        expression="faultline_bridge_lies_that_stand > 0",
        for_s=0,
        severity=Severity.CRITICAL,
        summary="{{ $value }} false claims were accepted by L1",
        meaning="Withdrawals that nobody made can be settled once the air gap has passed.",
        runbook="Pause the bridge with the guardian's key at once. Clears when the watchtower is restarted.",
        fault="faultline break false-output while the challenger has no money, until the window ends",
    ),
    Alert(
        name="LockedBelowSupply",
        expression="faultline_bridge_locked_wei < faultline_l2_supply_wei",
        for_s=4,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }}: L1 locks less than the L2 owes",
        meaning="Somebody took money out that never left the L2. Deposits lock first and withdrawals burn first, so no honest moment looks like this.",
        runbook="Pause the bridge with the guardian's key, then look for the game that paid: LieStands, faultline_bridge_games_total.",
        fault="the same, and the thief settles his withdrawal",
    ),
    Alert(
        name="ClaimsStalled",
        expression=(
            "faultline_bridge_unclaimed_age_seconds\n"
            "> 30 + 3 * faultline_bridge_output_interval_seconds"
        ),
        for_s=4,
        severity=Severity.WARNING,
        summary="safe L2 blocks have waited {{ $value | humanizeDuration }} for a claim",
        meaning="The proposer makes no games: withdrawals cannot be proven. Anybody else may claim.",
        runbook="Look at the proposer's balance (a bond for each game), then `faultline logs bridge`. A dead bridge is ProcessDown.",
        fault="spend the proposer's account",
    ),
    Alert(
        name="AccountLow",
        expression=(
            "faultline_bridge_account_wei < 5e18\n"
            'or faultline_bridge_account_wei{role="proposer"}\n'
            # 0 before the first claim.
            "  < on (process) group_left () (5 * faultline_bridge_bond_wei)"
        ),
        for_s=4,
        severity=Severity.WARNING,
        summary="the {{ $labels.role }} of {{ $labels.process }} has {{ $value | humanize }} wei left",
        meaning="Less than 5 ETH, or a proposer that cannot pay five bonds: its transactions will soon not be taken.",
        runbook="Send it ETH on L1 from one of the ten accounts.",
        fault="spend the challenger's account",
    ),
    Alert(
        name="ChallengerBehind",
        expression=(
            'max(faultline_chain_head_number{layer="l1"})\n'
            "- on () group_right () faultline_bridge_judged_l1_number > 8"
        ),
        for_s=6,
        severity=Severity.CRITICAL,
        summary="{{ $labels.process }} has not looked at the games of the last {{ $value }} L1 blocks",
        meaning="L1 goes on and its games are not judged: a lie would go unseen. A dead watchtower is ProcessDown.",
        runbook="NodeBehind as well: it does not hear L1, see there. Alone: `faultline logs watchtower`; restarting it is safe, it reads the games again.",
        fault="faultline break partition groups=watchtower/(all others)",
    ),
)

RPC: Final = (
    Alert(
        name="RpcErrors",
        expression=(
            "process:faultline_rpc_errors:ratio1m > 0.5\n"
            "and process:faultline_rpc_requests:rate1m > 1"
        ),
        for_s=6,
        severity=Severity.INFO,
        summary="{{ $value | humanizePercentage }} of the calls to {{ $labels.process }} fail",
        meaning="More than one call a second, and most are answered by an error: a tool asks for what does not exist, or for a refused transaction.",
        runbook="The RPC dashboard shows which methods. Method `unknown` is a tool that wants another node.",
        fault="two calls a second of a method that does not exist",
    ),
    Alert(
        name="RpcSlow",
        expression="process:faultline_rpc_request_seconds:p99 > 1",
        for_s=6,
        severity=Severity.INFO,
        summary="one call in a hundred to {{ $labels.process }} takes {{ $value | humanizeDuration }} or more",
        meaning="Long traces, wide eth_getLogs, or a machine without processors left.",
        runbook="The RPC dashboard shows which methods; spread long reads over the other processes.",
        fault="debug_traceCall of an endless loop",
    ),
)

GROUPS: Final = (
    RECORDING_GROUP,
    Group(name="faultline-processes", rules=PROCESSES),
    Group(name="faultline-consensus", rules=CONSENSUS),
    Group(name="faultline-rollup", rules=ROLLUP),
    Group(name="faultline-bridge", rules=BRIDGE),
    Group(name="faultline-rpc", rules=RPC),
)
"""Everything that Prometheus evaluates."""

ALERTS: Final = (*PROCESSES, *CONSENSUS, *ROLLUP, *BRIDGE, *RPC)
"""Every alert, in the order of the README."""
