"""JSON-RPC over a real builder, engine and disk: when a send is answered its receipt is there, and a wallet needs no options."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import orjson
import trio

from node.eth.blobs import encode_network_form
from node.eth.hashing import keccak256
from sequencer.heads import L2Chain
from tests.kit.blobs import empty_blob, sign_blobs
from tests.kit.sequencer_rpc import served_sequencer
from tests.kit.transfers import sender, sign_transfer
from tests.node.rpc.clients import HttpClient, WebSocketClient, call_text

RICH = tuple(sender(f"rich {number}") for number in range(3))
RECEIVER = b"\x77" * 20


def quoted(raw: bytes) -> str:
    return "0x" + raw.hex()


def name(raw: bytes) -> str:
    return "0x" + keccak256(raw).hex()


def transfer(
    nonce: int,
    by: int = 0,
    *,
    value: int = 1,
    gas_limit: int = 21_000,
    max_fee_per_gas: int = 10**9,
    max_priority_fee_per_gas: int = 0,
) -> bytes:
    return sign_transfer(
        RICH[by],
        nonce=nonce,
        to=RECEIVER,
        value=value,
        gas_limit=gas_limit,
        max_fee_per_gas=max_fee_per_gas,
        max_priority_fee_per_gas=max_priority_fee_per_gas,
        chain_id=901,
    )


@dataclass(slots=True)
class Served:
    """A sequencer that serves, and whoever talks to it."""

    chain: L2Chain
    port: int
    streams: list[trio.SocketStream] = field(default_factory=list)

    async def stream(self) -> trio.SocketStream:
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self.streams[-1]

    async def http(self) -> HttpClient:
        return HttpClient(await self.stream())


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Served, HttpClient]]:
    async with served_sequencer(folder, RICH) as sequencer:
        one = Served(sequencer.chain, sequencer.port)
        try:
            yield one, await one.http()
        finally:
            for stream in one.streams:
                await trio.aclose_forcefully(stream)


async def test_a_receipt_is_there_when_its_send_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as (sequencer, client):
        for nonce in range(5):
            raw = transfer(nonce)
            assert await client.result("eth_sendRawTransaction", quoted(raw)) == name(raw)
            receipt = await client.result("eth_getTransactionReceipt", name(raw))
            assert isinstance(receipt, dict)
            assert (receipt["transactionHash"], receipt["status"]) == (name(raw), "0x1")
            assert receipt["blockNumber"] == hex(sequencer.chain.head.header.number)
            assert {"l1Fee", "l1GasPrice", "l1GasUsed", "l1BaseFeeScalar"} <= receipt.keys()
        raw = transfer(5)
        receipt = await client.result("eth_sendRawTransactionSync", quoted(raw), 1_000)
        assert receipt == await client.result("eth_getTransactionReceipt", name(raw))


async def test_a_batch_of_sends_shares_blocks_and_every_receipt_is_its_own(tmp_path: Path) -> None:
    async with served(tmp_path) as (sequencer, client):
        raws = [transfer(nonce, by) for nonce in range(150) for by in range(3)]
        calls = [call_text("eth_sendRawTransaction", quoted(raw)) for raw in raws]
        answers = (await client.post(b"[" + b",".join(calls) + b"]")).json()
        assert isinstance(answers, list)
        assert [one.get("result") for one in answers] == [name(raw) for raw in raws]
        assert sequencer.chain.head.header.number < len(raws) // 10
        asked = [call_text("eth_getTransactionReceipt", name(raw)) for raw in raws]
        found = (await client.post(b"[" + b",".join(asked) + b"]")).json()
        assert isinstance(found, list)
        assert [one["result"]["transactionHash"] for one in found] == [name(raw) for raw in raws]
        for one in found[::50]:
            receipt = one["result"]
            whole = await client.result("eth_getBlockReceipts", receipt["blockNumber"])
            assert isinstance(whole, list)
            assert whole[int(receipt["transactionIndex"], 16)] == receipt


async def test_refusals_are_geths(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        await client.result("eth_sendRawTransaction", quoted(transfer(0)))
        for method in ("eth_sendRawTransaction", "eth_sendRawTransactionSync"):
            code, message = await client.error(method, quoted(transfer(0, value=2)))
            assert code == -32000
            assert str(message).startswith("nonce too low")
            code, message = await client.error(method, "0x02c0")
            assert code == -32000
            # Blobs have no network here, in whatever form they come
            blobs = sign_blobs(RICH[1], [empty_blob()], nonce=0, chain_id=901)
            for raw in (blobs, encode_network_form(blobs, [empty_blob()])):
                code, message = await client.error(method, quoted(raw))
                assert (code, message) == (
                    -32000,
                    "transaction type not supported: tx type 3 not supported by this pool",
                )


async def test_a_later_nonce_waits_for_the_earlier_one(tmp_path: Path) -> None:
    """Given a gap, when its wait is over, then the caller is told (EIP-7966); when the gap is closed, then both are mined."""
    async with served(tmp_path) as (sequencer, client):
        later, earlier = transfer(1), transfer(0)
        answer = await client.call("eth_sendRawTransactionSync", quoted(later), 100)
        assert isinstance(answer, dict)
        assert (answer["error"]["code"], answer["error"]["data"]) == (5, name(later))
        other = await sequencer.http()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_expect_receipt, other, later)
            await client.result("eth_sendRawTransaction", quoted(earlier))
        for raw in (earlier, later):
            receipt = await client.result("eth_getTransactionReceipt", name(raw))
            assert isinstance(receipt, dict)


async def _expect_receipt(client: HttpClient, raw: bytes) -> None:
    answer = await client.call("eth_sendRawTransactionSync", quoted(raw))
    assert isinstance(answer, dict)
    # It is in the pool already, or mined by now: geth's words for either, or the receipt.
    told = orjson.dumps(answer)
    assert b'"transactionHash"' in told or b"already known" in told or b"nonce too low" in told


async def test_a_wallet_needs_no_options(tmp_path: Path) -> None:
    """Given what viem and ethers ask before they sign, when the answers are used as they are, then the transfer is mined."""
    async with served(tmp_path) as (_, client):
        rich = "0x" + RICH[0].address.hex()
        call = {"from": rich, "to": "0x" + RECEIVER.hex(), "value": "0x1"}
        assert await client.result("eth_chainId") == hex(901)
        gas = int(str(await client.result("eth_estimateGas", call)), 16)
        tip = int(str(await client.result("eth_maxPriorityFeePerGas")), 16)
        price = int(str(await client.result("eth_gasPrice")), 16)
        block = await client.result("eth_getBlockByNumber", "latest", False)
        assert isinstance(block, dict)
        base_fee = int(block["baseFeePerGas"], 16)
        assert base_fee == 1_000_000
        assert price == base_fee + tip
        assert 0 < tip <= base_fee
        history = await client.result("eth_feeHistory", "0x5", "pending", [10, 50, 90])
        assert isinstance(history, dict)
        assert {int(fee, 16) for fee in history["baseFeePerGas"]} == {base_fee}
        nonce = int(str(await client.result("eth_getTransactionCount", rich, "pending")), 16)
        for max_fee in (base_fee * 6 // 5 + tip, price):
            raw = transfer(
                nonce, gas_limit=gas, max_fee_per_gas=max_fee, max_priority_fee_per_gas=tip
            )
            receipt = await client.result("eth_sendRawTransactionSync", quoted(raw))
            assert isinstance(receipt, dict)
            assert receipt["status"] == "0x1"
            nonce += 1
        assert await client.result("eth_getTransactionCount", rich, "pending") == hex(nonce)
        assert await client.result("eth_getBalance", call["to"], "pending") == hex(2)


async def test_subscribers_see_every_block_once_and_in_order(tmp_path: Path) -> None:
    async with served(tmp_path) as (sequencer, client):
        listener = WebSocketClient(await sequencer.stream())
        await listener.handshake()
        await listener.result("eth_subscribe", "newHeads")
        for nonce in range(30):
            await client.result("eth_sendRawTransaction", quoted(transfer(nonce)))
        numbers: list[int] = []
        parents: list[tuple[str, str]] = []
        while len(numbers) < sequencer.chain.head.header.number:
            params = (await listener.message())["params"]
            assert isinstance(params, dict)
            head = params["result"]
            numbers.append(int(head["number"], 16))
            parents.append((head["parentHash"], head["hash"]))
        assert numbers == list(range(1, sequencer.chain.head.header.number + 1))
        assert all(parent == before for (_, before), (parent, _) in pairwise(parents))


PAYER = "0x" + RICH[0].address.hex()
PASSER = "0x4200000000000000000000000000000000000016"
ORACLE = "0x420000000000000000000000000000000000000f"
L1_BLOCK = "0x4200000000000000000000000000000000000015"
SLOT = "0xadaca6cbaa0b1b80f967c379758e69d08b69ba046fa01914cbf932ce171df505"
INITIATE = "0xc2b3e5ac" + "00" * 31 + "77" + "00" * 31 + "00" + "00" * 31 + "60" + "00" * 32


async def test_what_viems_op_stack_asks_of_an_l2_is_answered(tmp_path: Path) -> None:
    """The calls that viem 2.46.3 was recorded to make of an L2, in its own forms: no block given, no sender given."""
    transfer_call = {"to": "0x" + RECEIVER.hex(), "value": "0x1"}
    async with served(tmp_path) as (_, client):
        for nonce in range(9):
            await client.result("eth_sendRawTransaction", quoted(transfer(nonce)))
        assert await client.error("eth_fillTransaction", {}) == (
            -32601,
            "the method eth_fillTransaction does not exist/is not available",
        )
        for call in ({"data": "0x", **transfer_call}, {"from": PAYER, **transfer_call}):
            assert int(str(await client.result("eth_estimateGas", call)), 16) >= 21_000
        initiate = {"from": PAYER, "to": PASSER, "value": "0x1", "data": INITIATE}
        assert int(str(await client.result("eth_estimateGas", initiate)), 16) > 50_000
        for to, data in (
            (ORACLE, "0x49948e0e" + f"{32:064x}" + f"{4:064x}" + "01020304".ljust(64, "0")),
            (L1_BLOCK, "0x4d5d9a2a"),
            (L1_BLOCK, "0x16d3bc7f"),
        ):
            word = await client.result("eth_call", {"to": to, "data": data}, "latest")
            assert len(str(word)) == 66
        proof = await client.result("eth_getProof", PASSER, [SLOT], "0x9")
        block = await client.result("eth_getBlockByNumber", "0x9", False)
        assert isinstance(proof, dict)
        assert isinstance(block, dict)
        assert proof["storageHash"] == block["withdrawalsRoot"]
        assert [one["value"] for one in proof["storageProof"]] == ["0x0"]
