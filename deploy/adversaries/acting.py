"""What anybody with money can do on a chain: send transactions, wait for them, call contracts.

    Actor.send -> signed transaction -> eth_sendRawTransaction -> Actor.receipt -> Receipt
    read -> eth_call -> the answer, or Reverted with the contract's reason

Reasons are named by the ABIs of the network's own contracts.
Deliberately absent: what is sent and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from eth_account import Account as EthAccount
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.adversaries.stage import AttackFailed, Rpc, Stage
from deploy.json_rpc import RpcRefused
from deploy.published import L1_CHAIN_ID
from node.contracts.artifacts import artifact_names, load
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import Output

TIP_WEI: Final = 2 * 10**9
"""What an adversary tips for each gas: more than the network's own processes, less than somebody in a hurry."""

HASTE_TIP_WEI: Final = 200 * 10**9
"""The tip of somebody who must come first."""

GAS_MAX: Final = 1 << 24
"""Gas that an L1 transaction may have (EIP-7825)."""

GAS_MARGIN: Final = 1.3
"""Gas limit over the estimate: what lies before it in the block may change what it costs."""


ERROR_STRING: Final = bytes.fromhex("08c379a0")
"""Selector of Solidity's `Error(string)`."""


class Reverted(Exception):
    """A call that reverted."""

    def __init__(self, data: bytes, message: str = "") -> None:
        super().__init__(name_of(data) if data else message or "reverted without a reason")
        self.data = data
        """Revert data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log of a receipt."""

    address: Address
    """Its contract; 20 bytes."""
    topics: tuple[bytes, ...]
    """32 bytes each."""
    data: bytes
    """The rest."""
    block: int
    """Number of its L1 block."""
    transaction: str
    """Hash of its transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction."""

    transaction: str
    """Its hash."""
    block: int
    """Number of its block."""
    index: int
    """Its place there."""
    succeeded: bool
    """Whether it did not revert."""
    gas_used: int
    """Gas."""
    logs: tuple[Log, ...]
    """In order."""


class Actor:
    """An account that acts."""

    def __init__(
        self,
        stage: Stage,
        account: FundedAccount,
        chain: Rpc | None = None,
        chain_id: int = L1_CHAIN_ID,
    ) -> None:
        """Act from an account, on L1 unless another chain is given with its id."""
        self.account = account
        """Who acts."""
        self._stage = stage
        self._chain = chain or stage.l1
        self._chain_id = chain_id
        self._nonce: int | None = None

    @property
    def address(self) -> Address:
        """Its address; 20 bytes."""
        return Address(bytes.fromhex(self.account.address.removeprefix("0x")))

    def send(
        self,
        to: Address,
        data: bytes = b"",
        *,
        value_wei: int = 0,
        gas: int | None = None,
        tip_wei: int = TIP_WEI,
    ) -> str:
        """Sign and send a transaction; gives its hash.

        Args:
            to: whom to call; 20 bytes.
            data: the call.
            value_wei: what it pays.
            gas: its gas limit; None estimates it.
            tip_wei: for each gas.

        Raises:
            Reverted: when it is estimated and would revert.
            RpcRefused: when nobody takes it.
        """
        if gas is None:
            gas = int(self.estimate(to, data, value_wei=value_wei) * GAS_MARGIN)
        head = _object(self._chain.ask("eth_getBlockByNumber", "latest", False))
        if self._nonce is None:
            self._nonce = _quantity(
                self._chain.ask("eth_getTransactionCount", self.account.address, "pending")
            )
        signed = EthAccount.sign_transaction(
            {
                "chainId": self._chain_id,
                "type": 2,
                "nonce": self._nonce,
                "to": bytes(to),
                "value": value_wei,
                "gas": min(gas, GAS_MAX),
                "maxFeePerGas": 2 * _quantity(head["baseFeePerGas"]) + tip_wei,
                "maxPriorityFeePerGas": tip_wei,
                "data": "0x" + data.hex(),
            },
            self.account.private_key,
        )
        raw = "0x" + bytes(signed.raw_transaction).hex()
        transaction = str(self._chain.ask("eth_sendRawTransaction", raw))
        self._nonce += 1
        return transaction

    def estimate(self, to: Address, data: bytes, *, value_wei: int = 0) -> int:
        """Gas of a call. Raises Reverted."""
        request: JsonValue = {
            "from": self.account.address,
            "to": "0x" + to.hex(),
            "data": "0x" + data.hex(),
            "value": hex(value_wei),
        }
        try:
            return _quantity(self._chain.ask("eth_estimateGas", request))
        except RpcRefused as error:
            raise _reverted(error) from error

    def receipt(self, transaction: str, deadline_s: float = 60.0) -> Receipt:
        """Wait until a transaction is in a block. Raises AttackFailed."""

        def look() -> Receipt | None:
            found = self._chain.ask("eth_getTransactionReceipt", transaction)
            return None if found is None else read_receipt(_object(found))

        return self._stage.until(f"transaction {transaction} in a block", look, deadline_s)

    def do(self, to: Address, data: bytes = b"", *, value_wei: int = 0) -> Receipt:
        """Send a transaction that succeeds. Raises AttackFailed, Reverted."""
        receipt = self.receipt(self.send(to, data, value_wei=value_wei))
        if not receipt.succeeded:
            raise AttackFailed(f"{receipt.transaction} reverted in L1 block {receipt.block}")
        return receipt


def read(
    chain: Rpc, to: Address, data: bytes, *, sender: str | None = None, value_wei: int = 0
) -> bytes:
    """Call a contract at the head. Raises Reverted."""
    request: dict[str, JsonValue] = {
        "to": "0x" + to.hex(),
        "data": "0x" + data.hex(),
        "value": hex(value_wei),
    }
    if sender is not None:
        request["from"] = sender
    try:
        answer = chain.ask("eth_call", request, "latest")
    except RpcRefused as error:
        raise _reverted(error) from error
    return _bytes(answer)


def balance(chain: Rpc, address: Address | str) -> int:
    """Wei of an account at the head."""
    text = address if isinstance(address, str) else "0x" + address.hex()
    return _quantity(chain.ask("eth_getBalance", text, "latest"))


def number(chain: Rpc, tag: str = "latest") -> int:
    """Number of a tagged block."""
    return _quantity(_object(chain.ask("eth_getBlockByNumber", tag, False))["number"])


def read_number(stage: Stage, to: Address, data: bytes) -> int:
    """The number that a contract of L1 answers. Raises Reverted."""
    return int.from_bytes(read(stage.l1, to, data))


def logs(chain: Rpc, address: Address, topic: bytes, first_block: int) -> list[Log]:
    """A contract's logs with this first topic, from a block on."""
    wanted: JsonValue = {
        "address": "0x" + address.hex(),
        "topics": ["0x" + topic.hex()],
        "fromBlock": hex(first_block),
        "toBlock": "latest",
    }
    found = chain.ask("eth_getLogs", wanted)
    assert isinstance(found, list)
    return [_log(_object(entry)) for entry in found]


def logs_of(receipt: Receipt, address: Address, topic: bytes) -> list[Log]:
    """A contract's logs of a receipt with this first topic."""
    return [log for log in receipt.logs if log.address == address and log.topics[:1] == (topic,)]


def storage_proof(l2: Rpc, address: Address, slot: bytes, block: int) -> list[bytes]:
    """The nodes that prove a slot of an L2 contract after a block, from the storage root down."""
    answer = _object(l2.ask("eth_getProof", "0x" + address.hex(), ["0x" + slot.hex()], hex(block)))
    proofs = answer["storageProof"]
    assert isinstance(proofs, list)
    nodes = _object(proofs[0])["proof"]
    assert isinstance(nodes, list)
    return [_bytes(node) for node in nodes]


def output_at(l2: Rpc, block: int) -> Output:
    """The output after an L2 block, as the L2's node says."""
    answer = _object(l2.ask("optimism_outputAtBlock", hex(block)))
    return Output(
        state_root=Hash32(_bytes(answer["stateRoot"])),
        message_passer_root=Hash32(_bytes(answer["withdrawalStorageRoot"])),
        block_hash=Hash32(_bytes(_object(answer["blockRef"])["hash"])),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A transaction that waits in a node's pool, for everybody to see."""

    sender: Address
    """Who sent it; 20 bytes."""
    to: Address
    """Whom it calls; 20 bytes."""
    data: bytes
    """The call."""
    tip_wei: int
    """What it tips for each gas."""


def pending(node: Rpc) -> list[Pending]:
    """What waits in a node's pool and could be included; creations are left out."""
    content = _object(node.ask("txpool_content"))
    of_senders = _object(content["pending"])
    waiting = [_object(one) for of_one in of_senders.values() for one in _object(of_one).values()]
    return [
        Pending(
            sender=Address(_bytes(fields["from"])),
            to=Address(_bytes(fields["to"])),
            data=_bytes(fields["input"]),
            tip_wei=_quantity(fields.get("maxPriorityFeePerGas", "0x0")),
        )
        for fields in waiting
        if fields["to"] is not None
    ]


def read_receipt(fields: dict[str, JsonValue]) -> Receipt:
    """Read a receipt as JSON-RPC gives it."""
    logs = fields["logs"]
    assert isinstance(logs, list)
    return Receipt(
        transaction=str(fields["transactionHash"]),
        block=_quantity(fields["blockNumber"]),
        index=_quantity(fields["transactionIndex"]),
        succeeded=fields["status"] == "0x1",
        gas_used=_quantity(fields["gasUsed"]),
        logs=tuple(_log(_object(log)) for log in logs),
    )


def name_of(data: bytes) -> str:
    """The name of the custom error that revert data carries, its text, or its beginning as hex."""
    if data[:4] == ERROR_STRING:
        length = int.from_bytes(data[36:68])
        return data[68 : 68 + length].decode(errors="replace")
    name = _errors().get(data[:4])
    return f"{name}()" if name else "0x" + data[:36].hex()


@cache
def _errors() -> dict[bytes, str]:
    """Custom errors of every contract of the network, by selector."""
    return {
        keccak256(f"{entry['name']}({_kinds(entry)})".encode())[:4]: str(entry["name"])
        for artifact in artifact_names()
        for entry in load(artifact).abi
        if entry["type"] == "error"
    }


def _kinds(entry: Mapping[str, object]) -> str:
    inputs = entry["inputs"]
    assert isinstance(inputs, list)
    return ",".join(str(one["type"]) for one in inputs)


def _reverted(error: RpcRefused) -> Reverted:
    data = error.data
    is_hex = isinstance(data, str) and data.startswith("0x")
    return Reverted(bytes.fromhex(str(data)[2:]) if is_hex else b"", str(error))


def _log(fields: dict[str, JsonValue]) -> Log:
    topics = fields["topics"]
    assert isinstance(topics, list)
    return Log(
        address=Address(_bytes(fields["address"])),
        topics=tuple(_bytes(topic) for topic in topics),
        data=_bytes(fields["data"]),
        block=_quantity(fields["blockNumber"]),
        transaction=str(fields["transactionHash"]),
    )


def _object(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def _quantity(value: JsonValue) -> int:
    assert isinstance(value, str)
    return int(value, 16)


def _bytes(value: JsonValue) -> bytes:
    assert isinstance(value, str)
    return bytes.fromhex(value.removeprefix("0x"))
