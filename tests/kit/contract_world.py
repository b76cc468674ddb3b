"""A chain with the network's contracts at genesis, for their tests: encode, send, call, decode, all by the artifacts' ABI.

    World.open -> send / call -> Receipt / values / Reverted

Every transaction is a block of its own unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import orjson
from eth_abi.abi import decode, encode
from eth_account.signers.local import LocalAccount

from node.contracts.addresses import PORTAL
from node.contracts.artifacts import Artifact
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.execution.adapter import StepCallable
from tests.kit.execution_chain import ExecutionChain, sign

GAS: Final = 16_000_000
"""Gas of a transaction that says nothing else: below the cap of EIP-7825."""

ERROR_STRING: Final = bytes.fromhex("08c379a0")
"""Selector of Error(string), which a reason in words comes as."""

Entry = Mapping[str, object]
"""One entry of an ABI."""


class Reverted(Exception):
    """A call reverted."""

    def __init__(self, name: str, values: tuple[object, ...]) -> None:
        super().__init__(f"{name}{values}")
        self.name = name
        """The custom error's name, or the reason in words; empty if there is no data."""
        self.values = values
        """What it carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log."""

    address: bytes
    """Its contract; 20 bytes."""
    topics: tuple[bytes, ...]
    """32 bytes each."""
    data: bytes
    """The rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction."""

    succeeded: bool
    """Whether it did not revert."""
    gas_used: int
    """Gas."""
    logs: tuple[Log, ...]
    """In order."""
    contract: bytes | None
    """What it created."""


@dataclass(frozen=True, slots=True)
class Contract:
    """An artifact at an address."""

    artifact: Artifact
    """Its ABI counts."""
    address: Address
    """20 bytes."""

    def entry(self, kind: str, name: str) -> Entry:
        """The ABI's one entry of that kind and name."""
        (found,) = [it for it in self.artifact.abi if it["type"] == kind and it.get("name") == name]
        return found

    def input(self, name: str, *arguments: object) -> bytes:
        """Encodes a call."""
        entry = self.entry("function", name)
        return selector(entry) + encode(kinds(entry["inputs"]), arguments)

    def output(self, name: str, data: bytes) -> object:
        """Decodes a call's answer: one value, or a tuple."""
        values = decode(kinds(self.entry("function", name)["outputs"]), data)
        return values[0] if len(values) == 1 else values

    def error(self, data: bytes) -> Reverted:
        """Names a revert."""
        for entry in self.artifact.abi:
            if entry["type"] == "error" and data[:4] == selector(entry):
                return Reverted(str(entry["name"]), decode(kinds(entry["inputs"]), data[4:]))
        if data[:4] == ERROR_STRING:
            return Reverted(decode(["string"], data[4:])[0], ())
        return Reverted(data.hex(), ())

    def events(self, receipt: Receipt, name: str) -> list[dict[str, object]]:
        """This contract's logs of one event, as values by name."""
        entry = self.entry("event", name)
        inputs = cast(list[dict[str, object]], entry["inputs"])
        topic = keccak256(signature(entry).encode())
        found = []
        for log in receipt.logs:
            if log.address == self.address and log.topics[0] == topic:
                plain = [it for it in inputs if not it["indexed"]]
                values = iter(decode([kind(it) for it in plain], log.data))
                topics = iter(log.topics[1:])
                found.append(
                    {
                        str(it["name"]): decode([kind(it)], next(topics))[0]
                        if it["indexed"]
                        else next(values)
                        for it in inputs
                    }
                )
        return found


@dataclass(slots=True)
class World:
    """A chain and the nonces of its senders."""

    chain: ExecutionChain
    """Grows by a block a transaction."""
    nonces: dict[str, int] = field(default_factory=dict)
    """Next nonce by address."""

    @classmethod
    def open(cls, accounts: Mapping[str, object], *, step: StepCallable | None = None) -> World:
        """A chain with these accounts at genesis, and the funded roles of the kit; `step` answers precompile 0x0101."""
        return cls(ExecutionChain.open(extra_accounts=accounts, portal=PORTAL, step=step))

    def signed(
        self,
        sender: LocalAccount,
        to: bytes | None,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int = GAS,
        **fields: object,
    ) -> bytes:
        """A transaction with the sender's next nonce."""
        nonce = self.nonces.get(sender.address, 0)
        self.nonces[sender.address] = nonce + 1
        target: dict[str, object] = {"to": to if to is not None else ""}
        return sign(sender, nonce=nonce, data=data, value=value, gas=gas, **target, **fields)

    def mine(self, transactions: Sequence[bytes] = ()) -> list[Receipt]:
        """One block."""
        block = self.chain.grow(transactions)
        rows = orjson.loads(self.chain.engine.receipts_json(block.block, block.receipts))
        return [receipt_of(row) for row in rows]

    def send(
        self,
        sender: LocalAccount,
        to: bytes | None,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int = GAS,
        **fields: object,
    ) -> Receipt:
        """One transaction in a block of its own."""
        raw = self.signed(sender, to, data, value=value, gas=gas, **fields)
        (receipt,) = self.mine([raw])
        return receipt

    def transact(
        self,
        sender: LocalAccount,
        contract: Contract,
        name: str,
        *arguments: object,
        value: int = 0,
        gas: int = GAS,
    ) -> Receipt:
        """A call of a contract in a block of its own. Raises Reverted, and there is no block."""
        nonce = self.nonces.get(sender.address, 0)
        data = contract.input(name, *arguments)
        raw = self.signed(sender, contract.address, data, value=value, gas=gas)
        block = self.chain.seal([raw])
        (row,) = orjson.loads(self.chain.engine.receipts_json(block.block, block.receipts))
        receipt = receipt_of(row)
        if not receipt.succeeded:
            self.nonces[sender.address] = nonce
            raise contract.error(self._revert_data(block.block))
        self.chain.engine.commit(block)
        self.chain.blocks.append(block)
        return receipt

    def _revert_data(self, block: bytes) -> bytes:
        chain = self.chain
        trace = orjson.loads(
            chain.engine.trace_transaction(
                chain.head.state_root, block, chain.ancestors, 0, b'{"tracer":"callTracer"}'
            )
        )
        return _bytes(trace.get("output", "0x"))

    def read(
        self,
        contract: Contract,
        name: str,
        *arguments: object,
        sender: bytes = bytes(20),
        value: int = 0,
        gas: int = 60_000_000,
    ) -> object:
        """What a call answers in the head's environment. Raises Reverted."""
        data = contract.input(name, *arguments)
        return contract.output(name, self.ask(contract, data, sender=sender, value=value, gas=gas))

    def number(self, contract: Contract, name: str, *arguments: object) -> int:
        """The number that a call answers."""
        answer = self.read(contract, name, *arguments)
        assert isinstance(answer, int)
        return answer

    def word(self, contract: Contract, name: str, *arguments: object) -> bytes:
        """The bytes that a call answers."""
        answer = self.read(contract, name, *arguments)
        assert isinstance(answer, bytes)
        return answer

    def ask(
        self,
        contract: Contract,
        data: bytes,
        *,
        sender: bytes = bytes(20),
        value: int = 0,
        gas: int = 60_000_000,
    ) -> bytes:
        """What raw input gives in the head's environment. Raises Reverted."""
        call = {
            "from": "0x" + sender.hex(),
            "to": "0x" + contract.address.hex(),
            "input": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(gas),
        }
        result = self.chain.engine.call(
            self.chain.head.state_root,
            self.chain.header,
            self.chain.ancestors,
            orjson.dumps(call),
            gas_cap=gas,
        )
        if result.status == "revert":
            raise contract.error(result.output)
        if result.status == "halt":
            raise Reverted(result.output.decode(), ())
        return result.output

    def balance(self, address: bytes) -> int:
        """Wei."""
        account = self.chain.engine.account(self.chain.head.state_root, address)
        return 0 if account is None else account.balance

    def slot(self, address: bytes, slot: int) -> int:
        """A storage word."""
        root = self.chain.head.state_root
        return int.from_bytes(self.chain.engine.storage(root, address, slot.to_bytes(32)))

    def code(self, address: bytes) -> bytes:
        """Code."""
        return self.chain.engine.code(self.chain.head.state_root, address)


def kind(parameter: Mapping[str, object]) -> str:
    """A parameter's type as signatures write it."""
    text = str(parameter["type"])
    if not text.startswith("tuple"):
        return text
    return "(" + ",".join(kinds(parameter["components"])) + ")" + text.removeprefix("tuple")


def kinds(parameters: object) -> list[str]:
    """Types of a list of parameters."""
    return [kind(it) for it in cast(list[dict[str, object]], parameters)]


def signature(entry: Entry) -> str:
    """What selectors and topics hash."""
    return f"{entry['name']}({','.join(kinds(entry['inputs']))})"


def selector(entry: Entry) -> bytes:
    """4 bytes."""
    return keccak256(signature(entry).encode())[:4]


def receipt_of(row: dict[str, object]) -> Receipt:
    """A receipt as the RPC gives it."""
    logs = cast(list[dict[str, object]], row["logs"])
    created = row.get("contractAddress")
    return Receipt(
        succeeded=row["status"] == "0x1",
        gas_used=int(str(row["gasUsed"]), 16),
        contract=_bytes(created) if created else None,
        logs=tuple(
            Log(
                address=_bytes(log["address"]),
                topics=tuple(_bytes(topic) for topic in cast(list[str], log["topics"])),
                data=_bytes(log["data"]),
            )
            for log in logs
        ),
    )


def _bytes(text: object) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))
