"""Disputes as they are: the contracts on an L1 whose precompile is the real STEP of a real L2, and L1's own finality.

    world.append([...]) -> Inbox's record -> L2 blocks, each with its output root and STEP's input
    world.claim(...) -> publish, span, create -> Game;   world.prove(game, number);   world.resolve(game)

L1's consensus is a state per block whose finalized checkpoint follows `world.lag` blocks behind, or stays where it is.
Deliberately absent: consensus itself, and the L2's sequencer: a block is what its record says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount

from deploy.rollup_genesis import l2_genesis
from node.consensus.containers import Checkpoint
from node.consensus.state import ConsensusState, StateField
from node.contracts import addresses
from node.contracts.alloc import DisputeTerms, dispute_allocations
from node.contracts.artifacts import load
from node.eth.hashing import keccak256, sha256
from node.eth.headers import decode_header, header_of_block
from node.eth.primitives import (
    ZERO_HASH,
    Address,
    BlockNumber,
    Epoch,
    Hash32,
)
from node.execution.adapter import RevmEngine, StepCallable, encode_batch
from node.execution.engine import L2Attributes, PackedBlock
from node.execution.stepping import read_batch, step_callable
from node.rollup.batches import content_of
from node.rollup.claims import Claim, RootTree
from node.rollup.derivation import BlockInput, Origin, attributes_of, blocks_of
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import LoggedRecord, decode_record_log
from node.rollup.step import StepInput
from tests.kit.consensus_states import calm_state
from tests.kit.contract_network import BATCHER, FORCER, Network
from tests.kit.contract_world import Contract, Receipt
from tests.kit.execution_chain import ETHER, SENDER, address_of
from tests.kit.rollup_chain import RollupChain

PROPOSER: Final[LocalAccount] = Account.from_key("0x" + "91" * 32)
"""Makes true claims."""

LIAR: Final[LocalAccount] = Account.from_key("0x" + "92" * 32)
"""Makes false ones."""

CHALLENGER: Final[LocalAccount] = Account.from_key("0x" + "93" * 32)
"""Watches."""

RIVAL: Final[LocalAccount] = Account.from_key("0x" + "94" * 32)
"""Watches too, or copies."""

BOND: Final = ETHER
"""Wei."""

CHALLENGE_WINDOW: Final = 6
"""L1 blocks."""

QUIET: Final = 3
"""L1 blocks."""

AIR_GAP: Final = 2
"""L1 blocks."""

LAG: Final = 4
"""Blocks from L1's head down to its finalized block, while all goes well."""

BURNT: Final = Address(bytes(18) + b"\xde\xad")
"""Where nothing comes back from."""

IN_PROGRESS, CHALLENGER_WINS, DEFENDER_WINS = range(3)

_GENESIS_TIME = 100


def with_errors(name: str, *others: str) -> Contract:
    """A contract whose reverts may be another one's, passed on."""
    artifact = load(name)
    errors = [one for other in others for one in load(other).abi if one["type"] == "error"]
    known = {str(one["name"]) for one in artifact.abi if one["type"] == "error"}
    passed = {str(one["name"]): one for one in errors if one["name"] not in known}
    address = {
        "DisputeGameFactory": addresses.DISPUTE_GAME_FACTORY,
        "AnchorStateRegistry": addresses.ANCHOR_STATE_REGISTRY,
        "NativeFaultGame": addresses.NATIVE_FAULT_GAME,
        "RootRegistry": addresses.ROOT_REGISTRY,
        "BondVault": addresses.BOND_VAULT,
    }[name]
    return Contract(replace(artifact, abi=(*artifact.abi, *passed.values())), address)


FACTORY: Final = with_errors("DisputeGameFactory", "NativeFaultGame", "Inbox", "BondVault")
ANCHORS: Final = with_errors("AnchorStateRegistry")
REGISTRY: Final = with_errors("RootRegistry")
VAULT: Final = with_errors("BondVault")
IMPLEMENTATION: Final = with_errors(
    "NativeFaultGame", "BondVault", "AnchorStateRegistry", "Inbox", "DisputeGameFactory"
)


def terms_of(parameters: RollupParameters, genesis_root: Hash32) -> DisputeTerms:
    """Of every world here."""
    return DisputeTerms(
        config_hash=parameters.config_hash(),
        anchor_root=genesis_root,
        window_blocks=CHALLENGE_WINDOW,
        quiet_blocks=QUIET,
        air_gap_blocks=AIR_GAP,
        bond_wei=BOND,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A game and what it claims."""

    contract: Contract
    """The proxy."""
    tree: RootTree
    """The claimed roots."""
    start_block: int
    """After which L2 block they start."""
    start_root: Hash32
    """The root there."""
    parent: Address | None
    """The game that it starts from; None for the anchor."""

    @property
    def address(self) -> Address:
        """The proxy's; 20 bytes."""
        return self.contract.address

    @property
    def last_block(self) -> int:
        """The L2 block that is claimed."""
        return self.start_block + len(self.tree.roots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a reorganisation of L1 goes back to."""

    height: int
    """L1's head."""
    nonces: Mapping[str, int]
    """Of L1's senders."""
    l2_height: int
    """The L2's newest block that L1 holds."""
    record_count: int
    """The Inbox's."""


@dataclass(slots=True, kw_only=True)
class DisputeWorld:
    """An L1, an L2, and the claims about it."""

    network: Network
    """L1 with all its contracts."""
    l2: RollupChain
    """The L2."""
    parameters: RollupParameters
    """Its rules."""
    roots: list[Hash32]
    """True output roots by L2 block."""
    records: list[LoggedRecord] = field(default_factory=list)
    """The Inbox's."""
    inputs: dict[int, StepInput] = field(default_factory=dict)
    """STEP's by L2 block."""
    lag: int = LAG
    """L1 blocks from the head down to the finalized one."""
    stalled_at: int | None = None
    """The finalized L1 block, while finality stalls."""
    change_state: Callable[[ConsensusState], ConsensusState] = lambda state: state
    """What else the consensus states of the next blocks are."""
    finals: dict[int, int] = field(default_factory=dict)
    """L1's finalized block after each block."""
    states: dict[int, ConsensusState] = field(default_factory=dict)
    """L1's consensus state after each block."""

    @classmethod
    def open(cls, *, step: StepCallable | Literal["real"] | None = "real") -> DisputeWorld:
        """Both genesis blocks, and eight more of L1; `step` is what answers in STEP's place, or nobody."""
        parameters = RollupParameters(batcher=address_of(BATCHER), sequencer_key=b"\x5e" * 32)
        document = l2_genesis(parameters, [], time=_GENESIS_TIME, l1_base_fee_wei=10**9)
        allocations = document["alloc"]
        assert isinstance(allocations, dict)
        allocations[SENDER.address] = {"balance": hex(10_000 * ETHER)}
        engine = RevmEngine(json.dumps(document).encode())
        l2 = RollupChain(engine, [engine.genesis()])
        genesis_root = output_of(decode_header(l2.header)).root()
        funded: dict[str, dict[str, object]] = {
            account.address: {"balance": hex(10_000 * ETHER)}
            for account in (PROPOSER, LIAR, CHALLENGER, RIVAL)
        }
        contracts = dispute_allocations(terms_of(parameters, genesis_root))
        network = Network.open(
            extra_accounts=funded | contracts,
            step=step_callable(engine, parameters) if step == "real" else step,
        )
        world = cls(network=network, l2=l2, parameters=parameters, roots=[genesis_root])
        network.world.chain.root_after = world._root_after
        network.pass_blocks(8)
        return world

    # -- L1

    @property
    def height(self) -> int:
        """Number of L1's head."""
        return self.network.height

    def pass_blocks(self, count: int) -> None:
        """Empty L1 blocks."""
        self.network.pass_blocks(count)

    def finalized(self, number: int) -> int:
        """L1's finalized block in the consensus state after a block; it never goes back."""
        newest = number - self.lag
        if self.stalled_at is not None:
            newest = min(newest, self.stalled_at)
        return max(newest, self.finals.get(number - 1, 0))

    def proof(self) -> tuple[bytes, int, Sequence[bytes], int]:
        """Header, epoch, branch and timestamp that show the newest finalized block."""
        state = self.states[self.height - 1]
        header = self.network.header(self.finalized_header_number(state))
        timestamp = header_of_block(self.network.world.chain.head.block).timestamp
        return header, state.finalized.epoch, state.branch(StateField.FINALIZED), timestamp

    def finalized_header_number(self, state: ConsensusState) -> int:
        """Number of the block that a consensus state has finalized."""
        return next(
            number
            for number in range(self.height + 1)
            if self.network.block_hash(number) == state.finalized.block_hash
        )

    def pass_until_final(self, number: int) -> None:
        """Empty L1 blocks until the head's own proof shows a block to be final."""
        while self.finalized_header_number(self.states[self.height - 1]) < number:
            self.pass_blocks(1)

    def _root_after(self, number: int) -> Hash32:
        finalized = self.finals[number] = self.finalized(number)
        checkpoint = Checkpoint(
            epoch=Epoch(finalized // 2), block_hash=Hash32(self.network.block_hash(finalized))
        )
        state = calm_state(number, checkpoint)
        self.states[number] = self.change_state(state)
        return self.states[number].root()

    def moment(self) -> Moment:
        """This one."""
        return Moment(
            height=self.height,
            nonces=dict(self.network.world.nonces),
            l2_height=len(self.roots) - 1,
            record_count=len(self.records),
        )

    def reorganise(self, back_to: Moment) -> None:
        """L1 drops all blocks since then, and the L2 what they held; the next block is another one than before."""
        del self.network.world.chain.blocks[back_to.height + 1 :]
        self.network.world.nonces = dict(back_to.nonces)
        del self.records[back_to.record_count :]
        del self.roots[back_to.l2_height + 1 :]
        del self.l2.blocks[back_to.l2_height + 1 :]
        chain = self.network.world.chain
        seconds, chain.seconds = chain.seconds, chain.seconds + 1
        self.pass_blocks(1)
        chain.seconds = seconds

    # -- the L2

    def append(self, blocks: Sequence[Sequence[bytes]], *, advances: int = 0) -> None:
        """One record of these blocks' transactions; the first `advances` of them move the origin on."""
        origin = self.network.world.number(self.network.inbox, "lastOrigin") + advances
        timestamp = header_of_block(self.network.world.chain.blocks[origin].block).timestamp
        packed = [
            PackedBlock(timestamp, place < advances, tuple(raws))
            for place, raws in enumerate(blocks)
        ]
        receipt = self.network.append(
            encode_batch(packed, 1),
            first_block=len(self.roots),
            block_count=len(blocks),
            origin=origin,
        )
        self.derive(receipt)

    def force(self, origin: int) -> None:
        """One empty record."""
        self.derive(self.network.world.transact(FORCER, self.network.inbox, "forceEmpty", origin))

    def derive(self, receipt: Receipt) -> None:
        """The L2 blocks of the one record that a transaction added."""
        (log,) = receipt.logs
        logged = decode_record_log(log.topics, log.data)
        assert logged is not None
        self.records.append(logged)
        content = content_of(self.parameters, logged.record, logged.batch, read_batch)
        for block in blocks_of(logged.record, content):
            self._execute(logged, block)

    def _execute(self, logged: LoggedRecord, block: BlockInput) -> None:
        """One L2 block, its output root, and what proves it."""
        record, parent = logged.record, decode_header(self.l2.header)
        origin = self._origin(block.origin_number)
        attributes = attributes_of(self.parameters, parent, block, origin)
        told = L2Attributes(
            timestamp=attributes.timestamp,
            mix_hash=attributes.mix_hash,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
        )
        derived = self.l2.engine.derive(
            self.l2.header,
            told,
            attributes.deposits,
            attributes.transactions,
            b"",
            record_witness=True,
        )
        assert derived.result.witness is not None
        nodes, codes, _ = derived.result.witness
        requests = self.network.world.chain.blocks[block.origin_number].requests
        has_requests = block.advances_origin and bool(requests)
        self.inputs[block.number] = StepInput(
            config_hash=self.parameters.config_hash(),
            pre_root=output_of(parent).root(),
            number=block.number,
            record=record,
            parent_header=self.l2.header,
            batch=logged.batch,
            origin_hashes=b"".join(
                self.network.block_hash(number)
                for number in range(record.previous_origin, record.origin + 1)
            ),
            origin_header=self.network.header(block.origin_number),
            last_request=requests[-1] if has_requests else b"",
            other_digests=b"".join(map(sha256, requests[:-1])) if has_requests else b"",
            nodes=tuple(nodes),
            codes=tuple(codes),
        )
        self.l2.commit(derived.result)
        self.roots.append(output_of(decode_header(self.l2.header)).root())

    def _origin(self, number: int) -> Origin:
        block = self.network.world.chain.blocks[number]
        return Origin(
            number=BlockNumber(number),
            hash=Hash32(block.block_hash),
            header=header_of_block(block.block),
            requests=tuple(block.requests),
        )

    # -- claims

    def tree(self, start: int, last: int, wrong: Mapping[int, Hash32] | None = None) -> RootTree:
        """Roots after the blocks behind `start` up to `last`: the true ones, but for those that are given."""
        given = wrong or {}
        return RootTree(
            tuple(given.get(number, self.roots[number]) for number in range(start + 1, last + 1))
        )

    def publish(self, tree: RootTree, sender: LocalAccount = FORCER) -> None:
        """All chunks, and what joins them."""
        world = self.network.world
        for chunk in tree.chunks:
            world.transact(sender, REGISTRY, "publish", chunk.roots)
        if len(tree.chunks) > 1:
            trees = [chunk.tree for chunk in tree.chunks]
            lasts = [chunk.last for chunk in tree.chunks]
            world.transact(sender, REGISTRY, "span", trees, lasts, len(tree.roots))

    def accumulator(self, number: int) -> Hash32:
        """The Inbox's after the record of an L2 block."""
        return next(
            logged.accumulator
            for logged in self.records
            if logged.record.first_block
            <= number
            < logged.record.first_block + logged.record.block_count
        )

    def anchor(self) -> tuple[Hash32, int]:
        """The claim that games start from that have no parent."""
        root, number = cast(tuple[bytes, int], self.network.world.read(ANCHORS, "getAnchorRoot"))
        return Hash32(root), number

    def claim(
        self, tree: RootTree, *, start: tuple[Hash32, int], parent: Address | None = None
    ) -> Claim:
        """What is said of roots; beyond the Inbox no accumulator is right."""
        last = start[1] + len(tree.roots)
        return Claim(
            l2_block=BlockNumber(last),
            parent=parent,
            roots_id=tree.id,
            accumulator=self.accumulator(last) if last < len(self.roots) else ZERO_HASH,
        )

    def create(
        self,
        tree: RootTree,
        *,
        start: tuple[Hash32, int],
        parent: Address | None = None,
        sender: LocalAccount = PROPOSER,
        value: int = BOND,
        **changes: object,
    ) -> Game:
        """A game of published roots; `changes` are of its claim. Raises Reverted."""
        claim = self.claim(tree, start=start, parent=parent)
        extra_data = replace(claim, **changes).encode()  # type: ignore[arg-type]
        receipt = self.network.world.transact(
            sender, FACTORY, "create", 900, tree.last, extra_data, value=value
        )
        (event,) = FACTORY.events(receipt, "DisputeGameCreated")
        address = bytes.fromhex(str(event["disputeProxy"]).removeprefix("0x"))
        return Game(
            contract=replace(IMPLEMENTATION, address=Address(address)),
            tree=tree,
            start_block=start[1],
            start_root=start[0],
            parent=parent,
        )

    def game(
        self,
        last: int,
        *,
        parent: Game | None = None,
        wrong: Mapping[int, Hash32] | None = None,
        sender: LocalAccount = PROPOSER,
    ) -> Game:
        """A game with everything that it needs; true but for the roots that are given."""
        start = (parent.tree.last, parent.last_block) if parent is not None else self.anchor()
        tree = self.tree(start[1], last, wrong)
        self.publish(tree, sender)
        address = None if parent is None else parent.address
        return self.create(tree, start=start, parent=address, sender=sender)

    # -- what happens to them

    def prove_arguments(
        self, game: Game, number: int, data: bytes | None = None
    ) -> tuple[Hash32, tuple[Hash32, ...], tuple[Hash32, ...], bytes]:
        """Of `proveFault` against the root after an L2 block; `data` is STEP's input if not the true one."""
        index = number - game.start_block - 1
        before = game.tree.branch(index - 1) if index else ()
        given = self.inputs[number].encode() if data is None else data
        return game.tree.roots[index], before, game.tree.branch(index), given

    def prove(
        self,
        game: Game,
        number: int,
        *,
        sender: LocalAccount = CHALLENGER,
        data: bytes | None = None,
    ) -> Receipt:
        """One proof. Raises Reverted."""
        arguments = self.prove_arguments(game, number, data)
        return self.network.world.transact(sender, game.contract, "proveFault", *arguments)

    def resolve(self, game: Game, *, sender: LocalAccount = FORCER) -> Receipt:
        """By the newest proof of finality there is. Raises Reverted."""
        return self.network.world.transact(sender, game.contract, "resolve", *self.proof())

    def status(self, game: Game) -> int:
        """What it has come to."""
        return self.network.world.number(game.contract, "status")

    def data(self, game: Game) -> tuple[int, Hash32, bytes]:
        """Type, claimed root and extra data, as it says itself."""
        answer = self.network.world.read(game.contract, "gameData")
        return cast(tuple[int, Hash32, bytes], answer)

    def is_valid(self, game: Game) -> bool:
        """Whether its claim counts."""
        return bool(self.network.world.read(ANCHORS, "isGameClaimValid", game.address))


def wrong_root(salt: int = 0) -> Hash32:
    """An output root of no L2."""
    return keccak256(b"no root" + salt.to_bytes(8))
