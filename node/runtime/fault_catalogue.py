"""The faults that can be made on purpose: what each is called, what it takes, what to expect of it, how it heals.

    faults_of(role) -> the FaultBoard of a process; FAULTS -> `faultline break list`

An entry is data: whoever shows the catalogue (`faultline break --list`, the watch page) prints it, nobody adds prose.
Deliberately absent: what a fault does. The part that misbehaves asks the board.
"""

from __future__ import annotations

from typing import Final

from node.runtime.fault_entries import ROLES, CatalogueEntry, Kind, Parameter

COUNT: Final = Parameter(
    name="count",
    kind=Kind.INTEGER,
    unit="blocks",
    help="How many times.",
    minimum=1,
    maximum=10_000,
    default=1,
)
"""For what happens a number of times."""

L1_FAULTS: Final = (
    CatalogueEntry(
        name="partition",
        layer="l1",
        roles=ROLES,
        summary="Cuts every link of this process to processes of other groups.",
        parameters=(
            Parameter(
                name="groups",
                kind=Kind.GROUPS,
                unit="",
                help="Lists of process names; a process that stands in none keeps its links.",
                is_required=True,
            ),
        ),
        expect="Two thirds of the weight together go on finalizing; a 2-2 split grows two chains "
        "without finality. After healing one chain wins, and finality is back within 5 slots. "
        "Nobody is slashed. A split of over 200 slots lets the leak begin.",
        heals="On heal: peers are dialled again within a second, and the shorter chain reorganises.",
    ),
    CatalogueEntry(
        name="delay",
        layer="l1",
        roles=ROLES,
        summary="Delays everything this process sends.",
        parameters=(
            Parameter(
                name="ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="Added to every message.",
                maximum=60_000,
                is_required=True,
            ),
            Parameter(
                name="jitter_ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="Random part on top, uniform.",
                maximum=60_000,
                default=0,
            ),
        ),
        expect="Below 0.4 of a slot nothing is reorganised; above it this process's blocks come "
        "too late for votes and its votes too late for the next block.",
        heals="On heal, at once.",
    ),
    CatalogueEntry(
        name="drop",
        layer="l1",
        roles=ROLES,
        summary="Loses a share of the gossip messages that this process sends and receives.",
        parameters=(
            Parameter(
                name="ratio",
                kind=Kind.RATIO,
                unit="share",
                help="0 loses none, 1 all.",
                maximum=1,
                is_required=True,
            ),
        ),
        expect="Requests close the gaps: blocks come late, finality lags by a few slots.",
        heals="On heal, at once.",
    ),
    CatalogueEntry(
        name="miss-slots",
        layer="l1",
        roles=("validator",),
        summary="Proposes no block where it should.",
        parameters=(
            COUNT,
            Parameter(
                name="slots",
                kind=Kind.SLOTS,
                unit="slots",
                help="Miss these slots instead of the next ones.",
            ),
        ),
        expect="Slots without a block; the next proposer builds on the block before. Finality "
        "comes a slot or two later. Missing is not slashed.",
        heals="By itself once the slots are missed.",
    ),
    CatalogueEntry(
        name="equivocate",
        layer="l1",
        roles=("validator",),
        summary="Signs and gossips two different blocks for one slot.",
        parameters=(COUNT,),
        expect="Every other node sees both, makes evidence, and a later block slashes the "
        "validator: it loses half its stake and its weight two epochs after. One of the two "
        "blocks stays; finality goes on.",
        heals="By itself after so many proposals. The slashing stays.",
    ),
    CatalogueEntry(
        name="vote-equivocate",
        layer="l1",
        roles=("validator",),
        summary="Casts two different votes in one slot with every validator of this process.",
        parameters=(COUNT,),
        expect="Both votes are forwarded, because the second is the evidence; the validators are "
        "slashed in a later block and lose their weight two epochs after. With a third of all "
        "weight or more doing it, conflicting finality is possible and then proven.",
        heals="By itself after so many slots. The slashing stays.",
    ),
    CatalogueEntry(
        name="late-block",
        layer="l1",
        roles=("validator",),
        summary="Holds its own blocks back before it publishes them.",
        parameters=(
            Parameter(
                name="delay_ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="After the block is built.",
                minimum=1,
                maximum=60_000,
                is_required=True,
            ),
            COUNT,
        ),
        expect="Beyond 0.4 of a slot the others vote for the block before; the late one stays as "
        "long as it is there when the next slot begins. Beyond a slot the next proposer builds "
        "past it: it is left out. Nobody is slashed.",
        heals="By itself after so many blocks.",
    ),
    CatalogueEntry(
        name="withhold-votes",
        layer="l1",
        roles=("validator",),
        summary="Casts no votes with any validator of this process.",
        parameters=(
            Parameter(
                name="slots",
                kind=Kind.INTEGER,
                unit="slots",
                help="For how many slots.",
                minimum=1,
                maximum=100_000,
                is_required=True,
            ),
        ),
        expect="With less than a third of the weight silent finality goes on, a slot or so later; "
        "with more it stops until the votes are back, or until the leak after 64 epochs.",
        heals="By itself after so many slots.",
    ),
    CatalogueEntry(
        name="withhold-blobs",
        layer="l1",
        roles=("validator",),
        summary="Keeps blobs to itself: passes on no blob transaction and answers no request for blobs.",
        parameters=(),
        expect="Blob transactions sent to this process are in its own blocks only. Nobody votes for those "
        "(`block_waits_for_blobs` in the others' logs) nor builds on them: the chain goes on from their parent, and "
        "this process follows it. Everything without blobs is as ever.",
        heals="On heal: within 30 s its blob transactions are offered to the others, and included.",
    ),
    CatalogueEntry(
        name="clock-skew",
        layer="l1",
        roles=ROLES,
        summary="Sets the clock of this process ahead (or back, with a negative number).",
        parameters=(
            Parameter(
                name="ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="How far ahead.",
                minimum=-3_600_000,
                maximum=3_600_000,
                is_required=True,
            ),
        ),
        expect="Up to 0.4 of a slot nothing is reorganised. Beyond it this process proposes too "
        "early (peers hold the block back) or too late (it is left out). The signer's "
        "database forbids slots twice, so setting the clock back slashes nobody.",
        heals="On heal, at once.",
    ),
)
"""What an L1 process can do wrong, in the order in which it is listed; the first ones cut or slow anybody's links."""

_BATCHES: Final = Parameter(
    name="count",
    kind=Kind.INTEGER,
    unit="batches",
    help="How many batches.",
    minimum=1,
    maximum=10_000,
    default=1,
)

_SEQUENCER: Final = ("sequencer",)

_REPLACED: Final = (
    "Every L2 node derives blocks without user transactions in its place; the unsafe blocks it "
    "should have carried are dropped on all of them (`l2_was_reset` in the log), and the sequencer "
    "includes their transactions again. "
)

L2_FAULTS: Final = (
    CatalogueEntry(
        name="sequencer-stop",
        layer="l2",
        roles=_SEQUENCER,
        summary="Seals no blocks, posts no batches and refuses transactions.",
        parameters=(),
        expect="`latest` stands still on the L2, then `safe` and `finalized` catch up with it. "
        "A deposit on L1 still arrives: after the sequencing window anybody's `forceEmpty` makes "
        "the L2 blocks that carry it, and every replica derives them from L1 alone.",
        heals="On heal: it derives what was forced, and seals on top of that.",
    ),
    CatalogueEntry(
        name="censor-sender",
        layer="l2",
        roles=_SEQUENCER,
        summary="Leaves out every transaction of one account, and says nothing about it.",
        parameters=(
            Parameter(
                name="address",
                kind=Kind.ADDRESS,
                unit="",
                help="Whose transactions.",
                is_required=True,
            ),
        ),
        expect="The account's transactions wait in the pool; all others go on. A deposit sent by the "
        "account on L1 (`depositTransaction` of the portal) is included all the same, in the first L2 block of its L1 "
        "origin: an L2 block that skips it would not be the one that every node derives.",
        heals="On heal: what waits is included.",
    ),
    CatalogueEntry(
        name="garbage-batch",
        layer="l2",
        roles=_SEQUENCER,
        summary="Posts random bytes in place of a batch.",
        parameters=(_BATCHES,),
        expect=_REPLACED + "No node stops or falls behind.",
        heals="By itself after so many batches.",
    ),
    CatalogueEntry(
        name="bomb-batch",
        layer="l2",
        roles=_SEQUENCER,
        summary="Posts 152 bytes that decompress to 200 megabytes.",
        parameters=(_BATCHES,),
        expect=_REPLACED + "Decompression ends at 256 KiB: memory and CPU stay flat.",
        heals="By itself after so many batches.",
    ),
    CatalogueEntry(
        name="truncated-batch",
        layer="l2",
        roles=_SEQUENCER,
        summary="Posts a batch without its last bytes.",
        parameters=(_BATCHES,),
        expect=_REPLACED + "Nothing of a batch that does not decode whole is used.",
        heals="By itself after so many batches.",
    ),
    CatalogueEntry(
        name="overlapping-batch",
        layer="l2",
        roles=_SEQUENCER,
        summary="Posts a batch over blocks that another one has carried already.",
        parameters=(_BATCHES,),
        expect="The Inbox takes a block number once: the L1 transaction reverts, costs its gas and "
        "leaves no record. The batches after it go through.",
        heals="By itself after so many batches.",
    ),
    CatalogueEntry(
        name="equivocate-unsafe",
        layer="l2",
        roles=_SEQUENCER,
        summary="Signs two different L2 blocks of one number, where it has transactions, and gossips both.",
        parameters=(COUNT,),
        expect="A replica keeps the block that it saw first and counts the other. Replicas may "
        "differ in `latest` for a while; L1 decides: once the batch is there all of them hold the "
        "same `safe` block.",
        heals="By itself after so many blocks.",
    ),
    CatalogueEntry(
        name="lie-timestamps",
        layer="l2",
        roles=_SEQUENCER,
        summary="Claims other timestamps in its batches than its unsafe blocks have.",
        parameters=(
            Parameter(
                name="seconds",
                kind=Kind.INTEGER,
                unit="seconds",
                help="Added to each; negative goes back.",
                minimum=-86_400,
                maximum=86_400,
                is_required=True,
            ),
            _BATCHES,
        ),
        expect="Derivation moves each into its range: not before the parent or the L1 origin, not "
        "over `max_drift_s` after the origin. Blocks that come out different replace the unsafe "
        "ones on every node; their transactions are included again.",
        heals="By itself after so many batches.",
    ),
    CatalogueEntry(
        name="batcher-stall",
        layer="l2",
        roles=_SEQUENCER,
        summary="Goes on sealing blocks and posts no batches.",
        parameters=(),
        expect="`latest` goes on, `safe` stands. Once the sequencing window has passed on L1, "
        "replicas force empty blocks, and those of the sequencer that were never posted are "
        "dropped: their transactions are included again.",
        heals="On heal: what waits is posted, in several batches at once.",
    ),
)
"""What an L2 process can do wrong, in the order in which it is listed."""

FAULTS: Final = L1_FAULTS + L2_FAULTS
"""Everything that can be broken."""


def faults_of(role: str) -> tuple[CatalogueEntry, ...]:
    """What a process of this role can do wrong: the entries of its board."""
    assert role in ROLES, role
    return tuple(entry for entry in FAULTS if role in entry.roles)
