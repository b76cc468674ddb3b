"""An L1 in memory with all contracts of the bridge, an L2 of made-up outputs, and those who keep them honest.

    ScriptedL2 (number, outputs) <- transfers;  after every L1 block: the batcher appends, bridge claims, watchtower proves
    STEP: the precompile answers what the scripted L2 says, so that no block has to be executed

Deliberately absent: finality (nothing is resolved for its age here).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from eth_account import Account
from pydantic import JsonValue

from deploy.adversaries.acting import Actor, logs, read, read_number
from deploy.adversaries.claims import CREATE_GAS, accumulator_after, newest_true_game
from deploy.adversaries.guardian_pause import DEPOSIT_WEI
from deploy.adversaries.stage import Stage
from deploy.derivation import mnemonic_accounts
from deploy.keys import RollupSecrets, new_rollup
from deploy.manifest import Manifest
from deploy.rollup_genesis import l1_allocations, rollup_parameters
from node.contracts import disputes
from node.contracts.abi import decode, encode, encode_call
from node.contracts.addresses import DISPUTE_GAME_FACTORY, INBOX, MESSAGE_PASSER, ROOT_REGISTRY
from node.contracts.bindings import (
    MESSAGE_PASSED,
    MessagePassed,
    append,
    read_message_passed,
)
from node.contracts.disputes import GameStatus
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32
from node.rollup.claims import Claim, RootTree, decode_claim
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.deploy.adversaries.staging import RememberedProcesses, Told, funded, stage_on
from tests.kit.execution_chain import ExecutionChain
from tests.kit.rpc_chain import RpcChain

PROOF_GAS: Final = 12_000_000
"""Gas limit of a proof; the precompile takes eight million and more."""


@dataclass
class ScriptedL2:
    """An L2 of which only numbers and outputs are known."""

    number: int = 0
    """Of its newest block."""
    withdrawn: dict[int, MessagePassed] = field(default_factory=dict)
    """Withdrawals by their block; the storage of the message passer holds the newest one alone."""
    is_generous: bool = False
    """Whether whoever asks finds a deposit on an account."""
    _receipts: dict[str, JsonValue] = field(default_factory=dict)

    def output(self, block: int) -> Output:
        """The truth after a block."""
        name = block.to_bytes(8)
        return Output(
            state_root=keccak256(b"state" + name),
            message_passer_root=keccak256(self._leaf(block)),
            block_hash=keccak256(b"block" + name),
        )

    def grow(self) -> None:
        """An empty block."""
        self.number += 1

    def _leaf(self, block: int) -> bytes:
        """The only node of the message passer's storage after a block."""
        newest = max((made for made in self.withdrawn if made <= block), default=None)
        if newest is None:
            return rlp.encode([b"\x20" + keccak256(b"no slot of a withdrawal"), b"\x01"])
        slot = sent_messages_slot(self.withdrawn[newest].withdrawal_hash)
        return rlp.encode([b"\x20" + keccak256(slot), b"\x01"])

    def _take(self, raw: bytes) -> str:
        """A block with one transaction; what calls the message passer withdraws."""
        self.number += 1
        name = "0x" + keccak256(raw).hex()
        fields = rlp.as_list(rlp.decode(raw[1:]))
        logs: list[JsonValue] = []
        if fields[5] == MESSAGE_PASSER:
            sender = bytes.fromhex(str(Account.recover_transaction(raw))[2:])
            target, gas_limit, data = decode(
                ("address", "uint256", "bytes"), rlp.as_bytes(fields[7])[4:]
            )
            assert isinstance(target, bytes)
            assert isinstance(gas_limit, int)
            assert isinstance(data, bytes)
            withdrawal = BridgeWithdrawal(
                nonce=message_nonce(len(self.withdrawn)),
                sender=Address(sender),
                target=Address(target),
                value=rlp.as_integer(fields[6], 256),
                gas_limit=gas_limit,
                data=data,
            )
            logs.append(self._log(withdrawal))
        self._receipts[name] = {
            "transactionHash": name,
            "blockNumber": hex(self.number),
            "transactionIndex": "0x0",
            "status": "0x1",
            "gasUsed": "0x5208",
            "logs": logs,
        }
        return name

    def _log(self, withdrawal: BridgeWithdrawal) -> JsonValue:
        found = withdrawal_hash(withdrawal)
        topics = [MESSAGE_PASSED, withdrawal.nonce.to_bytes(32)]
        topics += [bytes(12) + who for who in (withdrawal.sender, withdrawal.target)]
        data = encode(
            ("uint256", "uint256", "bytes", "bytes32"),
            (withdrawal.value, withdrawal.gas_limit, withdrawal.data, found),
        )
        message = read_message_passed(topics, data)
        assert message is not None
        self.withdrawn[self.number] = message
        return {
            "address": "0x" + MESSAGE_PASSER.hex(),
            "topics": ["0x" + topic.hex() for topic in topics],
            "data": "0x" + data.hex(),
            "blockNumber": hex(self.number),
            "transactionHash": "0x" + bytes(32).hex(),
        }

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        match method:
            case "eth_getTransactionReceipt":
                return self._receipts[str(parameters[0])]
            case "eth_getBalance":
                return hex(DEPOSIT_WEI if self.is_generous else 0)
            case "eth_getProof":
                leaf = self._leaf(int(str(parameters[2]), 16))
                return {"storageProof": [{"proof": ["0x" + leaf.hex()]}]}
            case "eth_getBlockByNumber":
                return {"number": hex(self.number), "baseFeePerGas": "0x1"}
            case "eth_getTransactionCount":
                return "0x0"
            case "eth_sendRawTransaction":
                return self._take(bytes.fromhex(str(parameters[0])[2:]))
            case "optimism_outputAtBlock":
                output = self.output(int(str(parameters[0]), 16))
                return {
                    "stateRoot": "0x" + output.state_root.hex(),
                    "withdrawalStorageRoot": "0x" + output.message_passer_root.hex(),
                    "blockRef": {"hash": "0x" + output.block_hash.hex()},
                }
            case _:
                raise AssertionError(method)


@dataclass
class BridgeWorld:
    """Everything that a test of an attack needs."""

    l1: RpcChain
    """The chain."""
    l2: ScriptedL2
    """The other one."""
    stage: Stage
    """What an adversary stands on."""
    told: Told
    """What is told on it."""
    processes: RememberedProcesses
    """What is asked of processes; without "watchtower" nobody proves anything."""
    secrets: RollupSecrets
    """Keys of the rollup."""
    proposer: Actor = field(init=False)
    """An account for honest claims."""

    def __post_init__(self) -> None:
        self._batcher = Actor(self.stage, self.secrets.batcher_account)
        self._challenger = Actor(self.stage, self.secrets.challenger_account)
        self.proposer = Actor(self.stage, self.secrets.proposer_account)
        self._answered: set[Address] = set()
        self._claimed = 0
        self.l1.after_block += [self._append, self._challenge]

    @property
    def challenger(self) -> Address:
        """Whose proofs end games."""
        return self._challenger.address

    def propose(self) -> None:
        """Let the bridge claim what is new after every block from now on."""
        self.l1.after_block.append(self._propose)

    def _propose(self) -> None:
        """As the bridge: claim all blocks that the Inbox has, from the newest true game on."""
        parent, start = newest_true_game(self.stage), 0
        if parent is not None:
            start = read_number(self.stage, parent, disputes.ask("l2SequenceNumber"))
        last = read_number(self.stage, INBOX, disputes.ask("nextBlock")) - 1
        if "bridge" not in self.processes.running or last <= start or self._claimed >= last:
            return
        self._claimed = last
        tree = RootTree(tuple(self.l2.output(block).root() for block in range(start + 1, last + 1)))
        honest = Claim(
            l2_block=BlockNumber(last),
            parent=parent,
            roots_id=tree.id,
            accumulator=accumulator_after(self.stage, last),
        )
        self.proposer.send(ROOT_REGISTRY, disputes.publish(tree.roots), gas=PROOF_GAS)
        self.proposer.send(
            DISPUTE_GAME_FACTORY,
            disputes.create(tree.last, honest.encode()),
            value_wei=self.stage.terms.bond_wei,
            gas=CREATE_GAS,
        )

    def _append(self) -> None:
        """As the batcher: all blocks that the Inbox does not have."""
        first, last = read_number(self.stage, INBOX, disputes.ask("nextBlock")), self.l2.number
        if last < first:
            return
        call = append(
            b"a batch",
            first_block=first,
            block_count=last + 1 - first,
            origin=read_number(self.stage, INBOX, disputes.ask("lastOrigin")),
            expected=Hash32(read(self.l1, INBOX, disputes.ask("accumulator"))),
        )
        self._batcher.send(INBOX, call)

    def _challenge(self) -> None:
        """As the watchtower: prove the first false root of every game."""
        if "watchtower" not in self.processes.running:
            return
        count = read_number(self.stage, DISPUTE_GAME_FACTORY, disputes.game_count())
        for index in range(count):
            answer = read(self.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
            _, _, game = disputes.read_game_at_index(answer)
            outcome = read_number(self.stage, game, disputes.ask("status"))
            if outcome == GameStatus.IN_PROGRESS and game not in self._answered:
                self._answer(game)

    def _answer(self, game: Address) -> None:
        start = read_number(self.stage, game, disputes.ask("startingBlockNumber"))
        start_root = Hash32(read(self.l1, game, disputes.ask("startingRootHash")))
        if start and start_root != self.l2.output(start).root():
            return  # What follows from a lie cannot be executed.
        _, _, extra = disputes.read_game_data(read(self.l1, game, disputes.ask("gameData")))
        claim = decode_claim(extra)
        assert claim is not None
        roots = self._roots(claim.roots_id)
        truth = [self.l2.output(start + 1 + place).root() for place in range(len(roots))]
        false = [place for place, root in enumerate(roots) if root != truth[place]]
        if not false:
            return
        place, tree = false[0], RootTree(roots)
        number = start + 1 + place
        record = read_number(self.stage, INBOX, encode_call("recordOf(uint64)", number))
        words = read(self.l1, INBOX, encode_call("record(uint64)", record))
        given = b"".join(
            (
                self.stage.parameters.config_hash(),
                roots[place - 1] if place else start_root,
                number.to_bytes(32),
                words,
            )
        )
        before = tree.branch(place - 1) if place else ()
        call = disputes.prove_fault(roots[place], before, tree.branch(place), given)
        self._challenger.send(game, call, gas=PROOF_GAS)
        self._answered.add(game)

    def _roots(self, name: Hash32) -> tuple[Hash32, ...]:
        for log in logs(self.l1, ROOT_REGISTRY, disputes.ROOTS_PUBLISHED, 0):
            published = disputes.read_roots_published(log.topics, log.data)
            if published is not None and published.id == name:
                return published.roots
        raise AssertionError("a game's roots are published")


def open_world() -> BridgeWorld:
    """A world with an L2 of its genesis block."""
    l2, secrets, manifest = ScriptedL2(), new_rollup([]), Manifest()

    def step(data: bytes, _caller: bytes, _is_static: bool) -> bytes:
        return l2.output(int.from_bytes(data[64:96])).root()

    document: dict[str, object] = {"alloc": {"0x01": {"balance": hex(10**24)}}}
    contracts = l1_allocations(manifest, secrets, document, l2.output(0).root())
    chain = ExecutionChain.open(step=step, extra_accounts={**funded(), **contracts})
    l1 = RpcChain(chain)
    for _ in range(3):
        l1.mine()
    stage, told, processes = stage_on(l1, l2, secrets=secrets)
    assert stage.parameters == rollup_parameters(manifest, secrets)
    assert len(stage.accounts) == len(mnemonic_accounts(3))
    return BridgeWorld(l1=l1, l2=l2, stage=stage, told=told, processes=processes, secrets=secrets)
