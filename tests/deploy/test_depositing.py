"""`faultline deposit`: what is signed, which L2 transaction is waited for, and how it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from eth_account import Account as EthAccount
from pydantic import JsonValue

from deploy import chains as deploy_chains, depositing
from deploy.accounts import FundedAccount
from deploy.chains import Chain, units_of
from deploy.cli import main
from deploy.creation import create
from deploy.depositing import Arrived, DepositFailed, follow, send
from deploy.derivation import mnemonic_accounts
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import claim
from deploy.published import contracts
from deploy.sections import L2Section
from node.contracts.addresses import L2_CROSS_DOMAIN_MESSENGER, PORTAL
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import TRANSACTION_DEPOSITED, Deposit, encode_deposit, source_hash

L1_URL, L2_URL, REPLICA_URL = "http://l1", "http://l2", "http://replica"
PORTAL_TEXT = "0x" + PORTAL.hex()
SENDER, RECEIVER = mnemonic_accounts(2)
LOG_INDEX = 3
VALUE_WEI = 5 * 10**18


def receipt(block_hash: Hash32, status: str = "0x1") -> dict[str, JsonValue]:
    """L1's receipt of a deposit of SENDER for RECEIVER."""
    opaque = b"".join(
        (VALUE_WEI.to_bytes(32), VALUE_WEI.to_bytes(32), depositing.L2_GAS.to_bytes(8), b"\0")
    )
    data = (32).to_bytes(32) + len(opaque).to_bytes(32) + opaque + bytes(-len(opaque) % 32)
    log: dict[str, JsonValue] = {
        "address": PORTAL_TEXT,
        "topics": [
            "0x" + TRANSACTION_DEPOSITED.hex(),
            "0x" + "00" * 12 + SENDER.address[2:].lower(),
            "0x" + "00" * 12 + RECEIVER.address[2:].lower(),
            "0x" + "00" * 32,
        ],
        "data": "0x" + data.hex(),
        "logIndex": hex(LOG_INDEX),
        "blockHash": "0x" + block_hash.hex(),
    }
    foreign: dict[str, JsonValue] = {**log, "address": "0x" + "99" * 20}
    return {
        "transactionHash": "0x" + "aa" * 32,
        "status": status,
        "blockNumber": "0x7",
        "logs": [foreign, log] if status == "0x1" else [],
    }


def l2_transaction(block_hash: Hash32) -> str:
    """Hash of what that receipt becomes, from the rules."""
    deposit = Deposit(
        source_hash=source_hash(0, block_hash, LOG_INDEX),
        sender=Address(bytes.fromhex(SENDER.address[2:])),
        to=Address(bytes.fromhex(RECEIVER.address[2:])),
        mint=VALUE_WEI,
        value=VALUE_WEI,
        gas=depositing.L2_GAS,
        data=b"",
    )
    return "0x" + keccak256(encode_deposit(deposit)).hex()


@dataclass
class Chains:
    """Both chains' JSON-RPC, answered from tables."""

    l1_receipts: list[JsonValue] = field(default_factory=list)
    """L1's answers to a question for the receipt, one after the other; the last one stays."""
    l2_receipts: dict[str, JsonValue] = field(default_factory=dict)
    """The L2's receipts."""
    sent: list[str] = field(default_factory=list)
    """Raw transactions that L1 was given."""
    is_sequencer_up: bool = True
    """Whether the first process of the L2 answers."""

    def call(self, url: str, method: str, *parameters: JsonValue) -> JsonValue:
        if url == L2_URL and not self.is_sequencer_up:
            raise RpcUnavailable("connection refused")
        match method:
            case "eth_chainId":
                return hex(900)
            case "eth_estimateGas":
                return hex(70_000)
            case "eth_getBlockByNumber":
                return {"baseFeePerGas": hex(10)}
            case "eth_getTransactionCount":
                return hex(4)
            case "eth_sendRawTransaction":
                self.sent.append(str(parameters[0]))
                return "0x" + keccak256(bytes.fromhex(str(parameters[0])[2:])).hex()
            case "eth_getTransactionReceipt" if url == L1_URL:
                return self.l1_receipts.pop(0) if len(self.l1_receipts) > 1 else self.l1_receipts[0]
            case "eth_getTransactionReceipt":
                return self.l2_receipts.get(str(parameters[0]))
            case _:
                raise AssertionError(method)


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> Chains:
    answering = Chains()
    monkeypatch.setattr(deploy_chains, "call", answering.call)
    monkeypatch.setattr(deploy_chains, "LOOK_EVERY_S", 0.0)
    return answering


def followed(tell: Callable[[str], None], deadline_s: float = 60.0) -> Arrived:
    l2 = Chain([L2_URL, REPLICA_URL])
    return follow(Chain([L1_URL]), l2, "0x" + "aa" * 32, PORTAL_TEXT, tell, deadline_s)


@pytest.mark.parametrize(
    ("amount", "wei"), [("1", 10**18), ("0.5", 5 * 10**17), ("1e-18", 1), ("1e3", 10**21)]
)
def test_an_amount_is_read_exactly(amount: str, wei: int) -> None:
    assert units_of(amount) == wei


@pytest.mark.parametrize("amount", ["", "x", "0", "-1", "1e-19", "nan", "inf", "1e30", "1,5"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match=r"found .*, wanted "):
        units_of(amount)


def test_the_call_is_the_portals(chains: Chains) -> None:
    send(Chain([L1_URL]), PORTAL_TEXT, SENDER, RECEIVER.address, VALUE_WEI)
    words = rlp.as_list(rlp.decode(bytes.fromhex(chains.sent[0][4:])))[7]
    assert isinstance(words, bytes)
    assert words[:4].hex() == "e9e05c42"
    arguments = [words[4 + 32 * index : 36 + 32 * index] for index in range(6)]
    assert arguments[0][12:].hex() == RECEIVER.address[2:].lower()
    assert [int.from_bytes(word) for word in arguments[1:]] == [
        VALUE_WEI,
        depositing.L2_GAS,
        0,
        160,
        0,
    ]


def test_a_receiver_with_code_gets_gas_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {SENDER.address: "0x", RECEIVER.address: "0xef0100" + "77" * 20}

    def call(url: str, method: str, *parameters: JsonValue) -> JsonValue:
        assert (url, method, parameters[1]) == (L2_URL, "eth_getCode", "latest")
        return codes[str(parameters[0])]

    monkeypatch.setattr(deploy_chains, "call", call)
    l2 = Chain([L2_URL])
    assert depositing.gas_for(l2, SENDER.address) == depositing.L2_GAS
    assert depositing.gas_for(l2, RECEIVER.address) == depositing.L2_GAS_WITH_CODE


def test_a_signed_deposit_goes_to_l1(chains: Chains) -> None:
    sent = send(Chain([L1_URL]), PORTAL_TEXT, SENDER, RECEIVER.address, VALUE_WEI)
    [raw] = chains.sent
    assert sent == "0x" + keccak256(bytes.fromhex(raw[2:])).hex()
    assert EthAccount.recover_transaction(raw) == SENDER.address
    fields = rlp.as_list(rlp.decode(bytes.fromhex(raw[4:])))
    assert fields[0] == (900).to_bytes(2)
    assert fields[1] == b"\4"
    assert (fields[5], fields[6]) == (PORTAL, VALUE_WEI.to_bytes(8))


def test_progress_is_told_until_l2_holds_it(chains: Chains) -> None:
    block_hash = Hash32(b"\1" * 32)
    expected = l2_transaction(block_hash)
    chains.l1_receipts = [None, receipt(block_hash)]
    chains.l2_receipts = {expected: {"blockNumber": "0x9", "status": "0x1", "logs": []}}
    told: list[str] = []
    arrived = followed(told.append)
    assert arrived == Arrived(
        l1_transaction="0x" + "aa" * 32,
        l1_block=7,
        l2_transaction=expected,
        l2_block=9,
        succeeded=True,
    )
    assert told == [f"The deposit is in L1 block 7; on L2 it will be {expected}."]


def test_a_reorg_of_l1_changes_what_is_waited_for(chains: Chains) -> None:
    first, second = Hash32(b"\1" * 32), Hash32(b"\2" * 32)
    chains.l1_receipts = [receipt(first), None, receipt(second)]
    chains.l2_receipts = {l2_transaction(second): {"blockNumber": "0xa", "status": "0x0"}}
    told: list[str] = []
    arrived = followed(told.append)
    assert (arrived.l2_block, arrived.succeeded) == (10, False)
    assert len(told) == 2


def test_a_replica_tells_where_the_sequencer_does_not(chains: Chains) -> None:
    block_hash = Hash32(b"\1" * 32)
    chains.is_sequencer_up = False
    chains.l1_receipts = [receipt(block_hash)]
    chains.l2_receipts = {
        l2_transaction(block_hash): {"blockNumber": "0x9", "status": "0x1", "logs": []}
    }
    assert followed(lambda _: None).l2_block == 9


def test_a_deposit_that_reverts_or_does_not_come_is_told(chains: Chains) -> None:
    chains.l1_receipts = [receipt(Hash32(bytes(32)), status="0x0")]
    with pytest.raises(DepositFailed, match="reverted on L1"):
        followed(lambda _: None)
    chains.l1_receipts = [receipt(Hash32(bytes(32)))]
    with pytest.raises(DepositFailed, match=r"is in L1 block 7; .* was not seen on L2 within 0 s"):
        followed(lambda _: None, deadline_s=0.2)


# -- the command


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faultline", "deposit", *arguments])
    return main()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAULTLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: True)
    layout = Layout(tmp_path / "data")
    claim(layout)
    create(layout, Manifest(), 1_800_000_000)
    return layout


Given = tuple[str, FundedAccount, str, int]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, data: Layout) -> list[Given]:
    """What was to be sent; everything arrives."""
    assert data.network.exists()
    sent: list[Given] = []

    def fake_send(
        _: Chain, portal: str, sender: FundedAccount, to: str, value_wei: int, gas: int
    ) -> str:
        assert gas == depositing.L2_GAS
        sent.append((portal, sender, to, value_wei))
        return "0xaa"

    def fake_follow(l1: Chain, l2: Chain, transaction: str, *_: object) -> Arrived:
        assert l1.urls == [f"http://127.0.0.1:{8545 + index}" for index in range(4)]
        assert l2.urls == [f"http://127.0.0.1:{port}" for port in (9545, 9546, 9547)]
        return Arrived(
            l1_transaction=transaction,
            l1_block=1,
            l2_transaction="0xbb",
            l2_block=2,
            succeeded=True,
        )

    monkeypatch.setattr("deploy.commands.depositing.send", fake_send)
    monkeypatch.setattr("deploy.commands.depositing.gas_for", lambda *_: depositing.L2_GAS)
    monkeypatch.setattr("deploy.commands.depositing.follow", fake_follow)
    return sent


def test_the_command_deposits_for_the_sender_or_another(
    monkeypatch: pytest.MonkeyPatch, given: list[Given], capsys: pytest.CaptureFixture[str]
) -> None:
    portal = contracts(with_l2=True)["l1"]["portal"]
    assert run(monkeypatch, "1.5") == 0
    assert capsys.readouterr().out == "Arrived in L2 block 2.\n"
    assert run(monkeypatch, "2", "--to", RECEIVER.address, "--from", "1", "--json") == 0
    assert given == [
        (portal, SENDER, SENDER.address, 15 * 10**17),
        (portal, RECEIVER, RECEIVER.address, 2 * 10**18),
    ]
    printed = orjson.loads(capsys.readouterr().out)
    assert [one["step"] for one in printed.pop("steps")] == ["sent", "on L2"]
    assert printed == {
        "l1Transaction": "0xaa",
        "l1Block": 1,
        "l2Transaction": "0xbb",
        "l2Block": 2,
        "succeeded": True,
        "l2Token": None,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["many"], "AMOUNT: found 'many', wanted ETH as a decimal number"),
        (["1", "--to", "0x12"], "--to: found '0x12', wanted an address as 0x and 40 hex digits"),
        (["1", "--from", "10"], "--from: found 10, wanted less than 10"),
        (
            ["1", "--to", RECEIVER.address.replace("C", "c", 1)],
            f"whose capitals are no checksum (EIP-55), wanted {RECEIVER.address} or small letters",
        ),
    ],
)
def test_wrong_usage_gives_2_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
    given: list[Given],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
    assert given == []


def test_an_address_without_capitals_has_no_checksum(
    monkeypatch: pytest.MonkeyPatch, given: list[Given]
) -> None:
    digits = RECEIVER.address[2:]
    for address in (f"0x{digits.lower()}", f"0x{digits.upper()}"):
        assert run(monkeypatch, "1", "--to", address) == 0
    assert len(given) == 2


def test_nothing_is_sent_to_whoever_has_the_ports_of_a_devnet_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, given: list[Given], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: False)
    assert run(monkeypatch, "1") == 1
    assert "no devnet runs on" in capsys.readouterr().err
    assert given == []


def test_a_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, given: list[Given], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> str:
        raise RpcRefused(-32000, "insufficient funds")

    monkeypatch.setattr("deploy.commands.depositing.send", refuse)
    assert run(monkeypatch, "1") == 1
    assert "insufficient funds" in capsys.readouterr().err
    assert given == []


def test_without_an_l2_there_is_nothing_to_deposit_to(
    monkeypatch: pytest.MonkeyPatch, data: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    claim(data)
    create(data, Manifest(l2=L2Section(enabled=False)), 1_800_000_000)
    assert run(monkeypatch, "1") == 1
    assert "this devnet has no L2" in capsys.readouterr().err


def test_a_message_that_l2_could_not_deliver_has_not_succeeded(chains: Chains) -> None:
    block_hash = Hash32(b"\1" * 32)
    failed: JsonValue = {
        "address": "0x" + L2_CROSS_DOMAIN_MESSENGER.hex(),
        "topics": ["0x" + depositing.FAILED_MESSAGE.hex(), "0x" + "77" * 32],
    }
    chains.l1_receipts = [receipt(block_hash)]
    for logs, succeeded in (([failed], False), ([], True)):
        found: JsonValue = {"blockNumber": "0x9", "status": "0x1", "logs": logs}
        chains.l2_receipts = {l2_transaction(block_hash): found}
        assert followed(lambda _: None).succeeded is succeeded
