"""Otterscan's questions: answered as anvil answers them, on transactions that both have mined, and on both layers of a devnet."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import pytest
from eth_account import Account
from eth_account.types import TransactionDictType

from node.eth.hashing import keccak256
from tests.benchmarks.rpc_throughput import find_anvil, wait_for_port
from tests.benchmarks.sends import Server
from tests.e2e.devnet import Devnet, wait_for
from tests.e2e.environments import node_project
from tests.kit.execution_chain import CHAIN_ID, DEPOSITOR, ETHER, SENDER, ExecutionChain, sign
from tests.kit.traced_block import CHILD, PARENT, TRACED
from tests.node.rpc.clients import HttpClient, running_with
from tests.node.rpc.real import RealBackend, RealChain

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_000)]

Json = dict[str, object]

ANVIL: Final = Path(__file__).parents[1] / "benchmarks" / "anvil"
"""Package files of anvil."""

FACTORY: Final = bytes([0x46] * 20)
"""Creates a contract with three wei."""

_FACTORY_CODE: Final = "6760015f5360015ff35f52600860186003f000"

BLOCKS: Final = [
    [sign(SENDER, nonce=0, value=ETHER)],
    [
        sign(DEPOSITOR, nonce=0, to=PARENT, gas=200_000),
        sign(SENDER, nonce=1, to=CHILD, data=b"\x01\x02\x03\x04rest", gas=200_000),
    ],
    [
        sign(SENDER, nonce=2, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=99_000),
        sign(DEPOSITOR, nonce=1, to=FACTORY, gas=200_000),
    ],
]
"""Raw transactions, block by block: a transfer; nested and failed calls; creations."""


def name(value: bytes) -> str:
    return "0x" + value.hex()


@contextmanager
def anvil_with_blocks() -> Iterator[Server]:
    """Anvil with our contracts and these blocks."""
    program = find_anvil(node_project(ANVIL))
    if program is None:
        pytest.skip("npm offers no anvil for this system")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [str(program), "--port", str(port), "--silent", "--chain-id", str(CHAIN_ID)]
    with subprocess.Popen([*command, "--no-mining"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            server = Server(process.pid, port)
            for account in (SENDER, DEPOSITOR):
                server.ask("anvil_setBalance", account.address, hex(10_000 * ETHER))
            for address, contract in accounts().items():
                server.ask("anvil_setCode", address, contract["code"])
                server.ask("anvil_setBalance", address, contract["balance"])
            for raws in BLOCKS:
                for raw in raws:
                    server.ask("eth_sendRawTransaction", name(raw))
                server.ask("evm_mine")
            yield server
        finally:
            process.kill()


def accounts() -> dict[str, dict[str, str]]:
    """Contracts by address."""
    factory = {"balance": "0x9", "code": "0x" + _FACTORY_CODE}
    return cast("dict[str, dict[str, str]]", dict(TRACED)) | {name(FACTORY): factory}


def our_blocks() -> RealBackend:
    """Ours with the same."""
    backend = RealBackend(RealChain(ExecutionChain.open(extra_accounts=accounts())))
    for raws in BLOCKS:
        backend.chain.grow(raws)
    return backend


def entries_of(answer: object) -> list[Json]:
    """A list of calls, checked to be one."""
    assert isinstance(answer, list)
    return cast("list[Json]", answer)


def inner(operations: object, entries: list[Json]) -> object:
    """Anvil counts the outermost call among the internal operations where it moves ether; erigon and we do not."""
    assert isinstance(operations, list)
    outermost = {"from": entries[0]["from"], "to": entries[0]["to"]}
    first = operations[:1] if operations and operations[0].items() >= outermost.items() else []
    return operations[len(first) :]


async def test_answers_are_those_of_anvil() -> None:
    """Given the same transactions, when both are asked, then calls, operations, errors, nonces, creators and searches agree."""
    hashes = [name(keccak256(raw)) for raws in BLOCKS for raw in raws]
    with anvil_with_blocks() as anvil:
        async with running_with(our_blocks()) as server:
            client = await server.http()
            assert await client.result("ots_getApiLevel") == anvil.ask("ots_getApiLevel")
            for one in hashes:
                await _compare_transaction(client, anvil, one)
            created = await _compare_contracts(client, anvil, hashes)
            for address in (SENDER.address, DEPOSITOR.address, name(PARENT), name(CHILD)):
                await _compare_searches(client, anvil, address)
            await _compare_searches(client, anvil, created)


async def _compare_transaction(client: HttpClient, anvil: Server, one: str) -> None:
    ours = entries_of(await client.result("ots_traceTransaction", one))
    theirs = entries_of(anvil.ask("ots_traceTransaction", one))
    # Anvil lists precompiles, and no creations.
    assert [entry for entry in ours if "CALL" in str(entry["type"])] == [
        entry for entry in theirs if int(str(entry["to"]), 16) > 0xFFFF
    ]
    operations = await client.result("ots_getInternalOperations", one)
    assert operations == inner(anvil.ask("ots_getInternalOperations", one), ours)
    error = await client.result("ots_getTransactionError", one)
    assert error == (anvil.ask("ots_getTransactionError", one) or "0x")


async def _compare_contracts(client: HttpClient, anvil: Server, hashes: list[str]) -> str:
    """Nonces, codes and creators; gives the contract that was created inside."""
    for nonce in range(4):
        method = "ots_getTransactionBySenderAndNonce"
        found = await client.result(method, SENDER.address, nonce)
        assert found == anvil.ask(method, SENDER.address, nonce)
    operations = await client.result("ots_getInternalOperations", hashes[-1])
    assert isinstance(operations, list)
    created = str(operations[0]["to"])
    for address in (created, name(PARENT), SENDER.address):
        for block in ("0x1", "latest"):
            known = await client.result("ots_hasCode", address, block)
            # Ours are there from genesis on, anvil's since they were set, in its genesis too.
            assert known == anvil.ask("ots_hasCode", address, block)
    creator = await client.result("ots_getContractCreator", created)
    assert creator == anvil.ask("ots_getContractCreator", created)
    return created


async def _compare_searches(client: HttpClient, anvil: Server, address: str) -> None:
    for method in ("ots_searchTransactionsBefore", "ots_searchTransactionsAfter"):
        ours = cast("Json", await client.result(method, address, 0, 25))
        theirs = cast("Json", anvil.ask(method, address, 0, 25))
        found = [one["hash"] for one in cast("list[Json]", ours["txs"])]
        wanted = {one["hash"] for one in cast("list[Json]", theirs["txs"])}
        # Anvil misses those who were only created, and keeps blocks in its own order when it searches forward.
        assert wanted <= set(found)
        assert ours["firstPage"] is ours["lastPage"] is True


@pytest.mark.xdist_group("devnet")
@pytest.mark.parametrize("layer", ["rpc", "l2_rpc"])
def test_an_explorer_finds_its_way_on_both_layers(devnet: Devnet, layer: str) -> None:
    """Given a transfer, when Otterscan asks for it from every side, then it is there."""
    ask = devnet.rpc if layer == "rpc" else devnet.l2_rpc
    Account.enable_unaudited_hdwallet_features()
    words = " ".join(["test"] * 11 + ["junk"])
    payer = Account.from_mnemonic(words, account_path="m/44'/60'/0'/0/8")
    receiver = "0x" + keccak256(layer.encode())[12:].hex()
    nonce = int(str(ask("eth_getTransactionCount", payer.address, "pending")), 16)
    transfer: dict[str, object] = {
        "chainId": int(str(ask("eth_chainId")), 16),
        "nonce": nonce,
        "gas": 21_000,
        "to": bytes.fromhex(receiver[2:]),
        "value": 5,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 10**9,
    }
    raw = payer.sign_transaction(cast(TransactionDictType, transfer)).raw_transaction
    sent = str(ask("eth_sendRawTransaction", "0x" + raw.hex().removeprefix("0x")))
    receipt = cast("Json", wait_for("the receipt", lambda: ask("eth_getTransactionReceipt", sent)))
    number = int(str(receipt["blockNumber"]), 16)

    assert ask("ots_getTransactionBySenderAndNonce", payer.address, nonce) == sent
    searched = cast("Json", ask("ots_searchTransactionsBefore", receiver, 0, 25))
    assert [one["hash"] for one in cast("list[Json]", searched["txs"])] == [sent]
    details = cast("dict[str, Json]", ask("ots_getBlockDetails", number))
    page = cast("dict[str, Json]", ask("ots_getBlockTransactions", number, 0, 25))
    listed = cast("list[Json]", page["fullblock"]["transactions"])
    assert len(listed) == details["block"]["transactionCount"]
    assert sent in [one["hash"] for one in listed]
    (call,) = cast("list[Json]", ask("ots_traceTransaction", sent))
    assert (call["to"], call["value"]) == (receiver, "0x5")
    assert ask("ots_getInternalOperations", sent) == []
    assert ask("ots_getTransactionError", sent) == "0x"
    assert ask("ots_hasCode", receiver, "latest") is False
    assert ask("ots_getContractCreator", receiver) is None
