"""Outputs and games as an adversary needs them: what is true, what is claimed instead, what became of the game.

    L1: latest true game or anchor, Inbox -> truth(first block, last block) <- L2: optimism_outputAtBlock
    Truth -> roots, some of them false -> Claimed: published and made a game -> status, fault, bond

Deliberately absent: which lie, and what it is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.adversaries.acting import (
    TIP_WEI,
    Actor,
    Log,
    Receipt,
    Reverted,
    logs,
    number,
    output_at,
    read,
    read_number,
)
from deploy.adversaries.stage import AttackFailed, Stage
from deploy.published import L2_CHAIN_ID
from node.contracts import disputes
from node.contracts.abi import encode_call
from node.contracts.addresses import (
    ANCHOR_STATE_REGISTRY,
    BOND_VAULT,
    DISPUTE_GAME_FACTORY,
    INBOX,
    ROOT_REGISTRY,
)
from node.contracts.disputes import FaultProven, GameStatus
from node.eth.primitives import Address, BlockNumber, Hash32
from node.rollup.claims import CHUNK_ROOTS, Claim, RootTree
from node.rollup.outputs import Output

CREATE_GAS: Final = 1_500_000
"""Gas limit of making a game, where it cannot be estimated because its roots are published in the same block."""

GAMES_LOOKED_AT: Final = 64
"""So many of the newest games are looked at for a true one to start from."""

SPAN_MIN: Final = 3
"""Least blocks of a claim with a first, a middle and a last one."""

TRANSFER_GAS: Final = 21_000
"""Of a plain transfer on the L2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an honest claim would say."""

    parent: Address | None
    """The game that it starts from; None for the anchor."""
    start: int
    """The L2 block that it starts after."""
    outputs: tuple[Output, ...]
    """After every block from there on."""
    accumulator: Hash32
    """The Inbox's after the record of the last block."""

    @property
    def roots(self) -> tuple[Hash32, ...]:
        """The true output roots."""
        return tuple(output.root() for output in self.outputs)

    @property
    def last_block(self) -> int:
        """The L2 block that is claimed."""
        return self.start + len(self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A game that an adversary made."""

    game: Address
    """Its address; 20 bytes."""
    index: int
    """Its number in the factory."""
    block: int
    """Number of the L1 block that made it."""
    tree: RootTree
    """Its roots."""


def truth(stage: Stage, blocks: int = SPAN_MIN, parent: Address | None = None) -> Truth:
    """What could honestly be claimed now, over at least so many L2 blocks; makes some if there are too few.

    Args:
        stage: where.
        blocks: how many at least.
        parent: the game to start from; None looks for the newest true one.
    """
    game = parent or newest_true_game(stage)
    start = _start_of(stage, game)
    _grow_l2(stage, start + blocks)
    last = min(read_number(stage, INBOX, disputes.ask("nextBlock")) - 1, start + CHUNK_ROOTS)
    outputs = tuple(output_at(stage.l2, block) for block in range(start + 1, last + 1))
    return Truth(
        parent=game,
        start=start,
        outputs=outputs,
        accumulator=accumulator_after(stage, last),
    )


def accumulator_after(stage: Stage, block: int) -> Hash32:
    """The Inbox's accumulator after the record of an L2 block."""
    record = read_number(stage, INBOX, encode_call("recordOf(uint64)", block))
    return Hash32(read(stage.l1, INBOX, encode_call("accumulatorAt(uint64)", record)))


def extra_data(honest: Truth, tree: RootTree) -> bytes:
    """What a game over these roots is made with."""
    return Claim(
        l2_block=BlockNumber(honest.start + len(tree.roots)),
        parent=honest.parent,
        roots_id=tree.id,
        accumulator=honest.accumulator,
    ).encode()


def claim(
    stage: Stage,
    liar: Actor,
    honest: Truth,
    roots: Sequence[Hash32],
    *,
    tip_wei: int = TIP_WEI,
) -> Claimed:
    """Publish roots and make a game of them, in one block. Raises AttackFailed."""
    tree = RootTree(tuple(roots))
    liar.send(ROOT_REGISTRY, disputes.publish(roots), tip_wei=tip_wei)
    call = disputes.create(tree.last, extra_data(honest, tree))
    sent = liar.send(
        DISPUTE_GAME_FACTORY, call, value_wei=stage.terms.bond_wei, gas=CREATE_GAS, tip_wei=tip_wei
    )
    return made(stage, liar.receipt(sent), tree)


def made(stage: Stage, receipt: Receipt, tree: RootTree) -> Claimed:
    """The game that a transaction made. Raises AttackFailed if it made none."""
    game = game_in(receipt, tree)
    return Claimed(game=game, index=game_number(stage, game), block=receipt.block, tree=tree)


def game_in(receipt: Receipt, tree: RootTree) -> Address:
    """The address of the game that a transaction made of these roots. Raises AttackFailed if it made none."""
    for log in receipt.logs:
        created = disputes.read_game_created(log.topics, log.data)
        is_factorys = created is not None and log.address == DISPUTE_GAME_FACTORY
        if created is not None and is_factorys and created.root_claim == tree.last:
            return created.game
    raise AttackFailed(f"{receipt.transaction} made no game in L1 block {receipt.block}")


def status(stage: Stage, game: Address) -> GameStatus:
    """What a game has come to."""
    return GameStatus(read_number(stage, game, disputes.ask("status")))


def fault_of(stage: Stage, claimed: Claimed) -> tuple[FaultProven, Log] | None:
    """The proof that ended a game, if one did."""
    for log in logs(stage.l1, claimed.game, disputes.FAULT_PROVEN, claimed.block):
        proven = disputes.read_fault_proven(log.topics, log.data)
        if proven is not None:
            return proven, log
    return None


def wait_for_fault(stage: Stage, claimed: Claimed, deadline_s: float) -> tuple[FaultProven, Log]:
    """Wait until somebody proves a game false. Raises AttackFailed if nobody does, or it stands."""

    def look() -> tuple[FaultProven, Log] | None:
        if status(stage, claimed.game) is GameStatus.DEFENDER_WINS:
            raise AttackFailed(f"the false game 0x{claimed.game.hex()} stands: DEFENDER_WINS")
        return fault_of(stage, claimed)

    return stage.until("a proof against the false game", look, deadline_s)


def tell_bond(stage: Stage, claimed: Claimed, liar: Actor, prover: Address) -> bool:
    """Say what became of a lost game's bond; tells whether it went where it must."""
    locked = read_number(stage, BOND_VAULT, encode_call("locked(address)", claimed.game))
    reward, back = (
        read_number(stage, claimed.game, disputes.credit(who)) for who in (prover, liar.address)
    )
    burned = stage.terms.bond_wei - locked - reward
    who = "the liar itself" if prover == liar.address else f"{short(prover)}, who proved it"
    stage.sees(
        f"the bond: {eth(reward)} to {who}, {eth(burned)} burned, {eth(locked)} left in the vault"
    )
    return locked == 0 and 10 * reward == stage.terms.bond_wei and back in (0, reward)


def eth(wei: int) -> str:
    """An amount for people."""
    whole, rest = divmod(wei, 10**18)
    decimals = f"{rest:018d}".rstrip("0")
    return f"{whole:,}.{decimals} ETH" if decimals else f"{whole:,} ETH"


def short(value: bytes) -> str:
    """A hash or an address for people: its beginning and its end."""
    text = value.hex()
    return f"0x{text[:8]}..{text[-4:]}"


def newest_true_game(stage: Stage) -> Address | None:
    """The newest game that may be a parent and whose claim is true; None where the anchor is the best there is."""
    count = read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())
    for index in range(count - 1, max(-1, count - 1 - GAMES_LOOKED_AT), -1):
        _, _, game = disputes.read_game_at_index(
            read(stage.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
        )
        is_foundation = read_number(
            stage, ANCHOR_STATE_REGISTRY, disputes.is_game("isGameFoundation", game)
        )
        if not is_foundation:
            continue
        block = read_number(stage, game, disputes.ask("l2SequenceNumber"))
        claimed = Hash32(read(stage.l1, game, disputes.ask("rootClaim")))
        if block <= number(stage.l2) and output_at(stage.l2, block).root() == claimed:
            return game
    return None


def game_number(stage: Stage, game: Address) -> int:
    """A game's number in the factory. Raises AttackFailed if it is none of its games."""
    count = read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())
    for index in range(count - 1, -1, -1):
        _, _, found = disputes.read_game_at_index(
            read(stage.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
        )
        if found == game:
            return index
    raise AttackFailed(f"the factory does not know the game 0x{game.hex()}")


def refusal_of(stage: Stage, to: Address, data: bytes, *, sender: Actor, value_wei: int = 0) -> str:
    """Why a call would be refused; empty if it would not."""
    try:
        read(stage.l1, to, data, sender=sender.account.address, value_wei=value_wei)
    except Reverted as error:
        return str(error)
    return ""


def _start_of(stage: Stage, game: Address | None) -> int:
    if game is not None:
        return read_number(stage, game, disputes.ask("l2SequenceNumber"))
    answer = read(stage.l1, ANCHOR_STATE_REGISTRY, disputes.ask("getAnchorRoot"))
    _, block = disputes.read_anchor(answer)
    return block


def _grow_l2(stage: Stage, block: int) -> None:
    """Wait until the Inbox reaches an L2 block; sends transfers so that the L2 has it soon."""
    missing = block - number(stage.l2)
    if missing > 0:
        sender = Actor(stage, stage.account(), stage.l2, L2_CHAIN_ID)
        for _ in range(missing):
            sender.send(sender.address, gas=TRANSFER_GAS, tip_wei=1)
    stage.until(
        f"L2 block {block} on L1",
        lambda: read_number(stage, INBOX, disputes.ask("nextBlock")) > block or None,
    )
