"""Raw objects, traces and witnesses."""

from __future__ import annotations

from node.errors import InvalidBlock
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend, FakeRefused, make_block

FIRST = "0x" + keccak256(b"transaction 1").hex()
UNKNOWN = "0x" + "00" * 31 + "01"


async def test_raw_objects_are_given_as_they_are() -> None:
    async with running() as server:
        client = await server.http()
        block = server.backend.chain.canonical[1]
        name = "0x" + block.hash.hex()
        assert (
            await client.result("debug_getRawHeader", "0x1") == "0x" + block.header.encode().hex()
        )
        assert await client.result("debug_getRawBlock", name) == "0x" + block.rlp.hex()
        assert (
            await client.result("debug_getRawTransaction", FIRST) == "0x" + b"transaction 1".hex()
        )
        assert await client.result("debug_getRawTransaction", UNKNOWN) == "0x"
        receipt = keccak256(b"transaction 1").hex().encode()
        assert await client.result("debug_getRawReceipts", "0x1") == ["0x" + receipt.hex()]
        assert await client.result("debug_getRawReceipts", "0x0") == []


async def test_what_is_not_there_has_no_bytes() -> None:
    """Given a number above the head and an unknown hash, when asked, then geth's nothings are told: empty, null or an error."""
    async with running() as server:
        client = await server.http()
        assert await client.result("debug_getRawHeader", "0x99") == "0x"
        assert await client.result("debug_getRawBlock", "0x99") == "0x"
        assert await client.result("debug_getRawReceipts", "0x99") is None
        assert await client.result("debug_getRawReceipts", UNKNOWN) == []
        for method in ("debug_getRawHeader", "debug_getRawBlock"):
            told = (-32000, f"block {UNKNOWN} not found")
            assert await client.error(method, UNKNOWN) == told
        assert await client.error("debug_traceCall", {}, "0x99") == (
            -32000,
            "block #153 not found",
        )


async def test_refused_blocks_are_told_as_geth_tells_them() -> None:
    """Given blocks that execution refused, when asked, then each has hash, block and RLP; nothing is written to files."""
    backend = Backend(
        refused=[FakeRefused(hash=Hash32(b"\x11" * 32), rlp=b"\xc0", json=b'{"number":"0x7"}')]
    )
    async with running(backend) as server:
        client = await server.http()
        told = [{"block": {"number": "0x7"}, "hash": "0x" + "11" * 32, "rlp": "0xc0"}]
        assert await client.result("debug_getBadBlocks") == told
        assert await client.result("debug_getBadBlocks", None) == told
        refusal = (-32000, "nothing is written to files here: ask without one")
        assert await client.error("debug_getBadBlocks", "blocks.json") == refusal
        assert await client.error("debug_getBadBlocks", 1) == (
            -32602,
            "invalid argument 0: json: cannot unmarshal number into Go value of type string",
        )
        backend.refused.clear()
        assert await client.result("debug_getBadBlocks") == []


async def test_a_refused_block_is_traced_on_its_parent() -> None:
    """Given a block that execution refused, when traced by its hash, then it runs on its parent's state; no other one does."""
    backend = Backend()
    parent = backend.chain.head
    wrong = make_block(parent.header.number + 1, parent, transactions=[b"a"], salt=b"wrong")
    backend.refused.append(FakeRefused(hash=wrong.hash, rlp=wrong.rlp, json=b"{}"))
    async with running(backend) as server:
        client = await server.http()
        name = "0x" + wrong.hash.hex()
        assert await client.result("debug_traceBadBlock", name, {"tracer": "callTracer"}) == []
        asked = backend.engine.asked[-1]
        assert (asked["root"], asked["block"]) == (parent.header.state_root, wrong.rlp)
        known = "0x" + parent.hash.hex()
        refusal = (-32000, f"bad block {known} not found")
        assert await client.error("debug_traceBadBlock", known) == refusal


async def test_roots_between_transactions_are_told() -> None:
    """Given blocks of the chain and a refused one, when asked, then each transaction has a root; genesis and strangers have none."""
    backend = Backend()
    chain = backend.chain
    wrong = make_block(4, chain.head, transactions=[b"a", b"b"], salt=b"wrong")
    backend.refused.append(FakeRefused(hash=wrong.hash, rlp=wrong.rlp, json=b"{}"))
    root = "0x" + bytes(32).hex()
    async with running(backend) as server:
        client = await server.http()
        known, refused = "0x" + chain.canonical[1].hash.hex(), "0x" + wrong.hash.hex()
        assert await client.result("debug_intermediateRoots", known) == [root]
        assert await client.result("debug_intermediateRoots", refused, {}) == [root] * 2
        assert backend.engine.asked[-1]["root"] == chain.head.header.state_root
        empty = make_block(4, chain.head)
        chain.append(empty)
        assert await client.result("debug_intermediateRoots", "0x" + empty.hash.hex()) is None
        genesis = "0x" + chain.canonical[0].hash.hex()
        for name, problem in (
            (UNKNOWN, f"block {UNKNOWN} not found"),
            (genesis, "genesis is not traceable"),
        ):
            assert await client.error("debug_intermediateRoots", name) == (-32000, problem)


async def test_a_block_that_is_none_has_no_roots() -> None:
    """Given a refused block whose transactions are none, when its roots are asked for, then that is told, and no bug."""
    backend = Backend()
    wrong = make_block(4, backend.chain.head, transactions=[b"a"])
    backend.refused.append(FakeRefused(hash=wrong.hash, rlp=wrong.rlp, json=b"{}"))
    backend.engine.error = InvalidBlock("transaction", "one", "none")
    async with running(backend) as server:
        client = await server.http()
        for method in ("debug_intermediateRoots", "debug_traceBadBlock"):
            assert await client.error(method, "0x" + wrong.hash.hex()) == (
                -32000,
                "could not decode block: transaction: want one, got none",
            )


async def test_traces_run_on_the_parents_state() -> None:
    async with running() as server:
        client, asked = await server.http(), server.backend.engine.asked
        blocks = server.backend.chain.canonical
        parent_root = blocks[1].header.state_root
        name, raw = "0x" + blocks[2].hash.hex(), "0x" + blocks[2].rlp.hex()
        second = "0x" + keccak256(b"transaction 2").hex()
        options = {"tracer": "callTracer"}
        assert await client.result("debug_traceTransaction", second, options) == {"gas": 21000}
        assert asked[-1] == {
            "root": parent_root,
            "block": blocks[2].rlp,
            "index": 0,
            "options": b'{"tracer":"callTracer"}',
        }
        for method, argument in (
            ("debug_traceBlockByNumber", "0x2"),
            ("debug_traceBlockByHash", name),
            ("debug_traceBlock", raw),
        ):
            assert await client.result(method, argument) == []
            assert asked[-1] == {
                "root": parent_root,
                "block": blocks[2].rlp,
                "ancestors": blocks[1].hash + blocks[0].hash,
                "options": b"{}",
            }
        assert await client.result("debug_traceCall", {}, "0x1") == {"failed": False}
        assert asked[-1]["root"] == parent_root


async def test_a_call_is_traced_within_a_block() -> None:
    """Given `txIndex`, when a call is traced, then it runs on the block's parent behind the transactions before that one."""
    async with running() as server:
        client, asked = await server.http(), server.backend.engine.asked
        blocks = server.backend.chain.canonical

        assert await client.result("debug_traceCall", {}, "0x2", {"txIndex": "0x1"}) == {
            "failed": False
        }

        assert asked[-1] == {
            "root": blocks[1].header.state_root,
            "header": blocks[2].header.encode(),
            "call": b"{}",
            "options": b'{"txIndex":"0x1"}',
            "block": blocks[2].rlp,
            "index": 1,
        }
        for block, index, answer in (
            ("0x0", "0x0", (-32000, "no transaction in genesis")),
            ("pending", "0x0", (-32000, "tracing on top of pending is not supported")),
            ("0x99", "0x0", (-32000, "block #153 not found")),
            (
                "0x2",
                1,
                (-32602, "invalid argument 2: json: cannot unmarshal non-string into Go value of type hexutil.Uint"),
            ),
        ):  # fmt: skip
            assert await client.error("debug_traceCall", {}, block, {"txIndex": index}) == answer


async def test_what_cannot_be_traced_is_named_as_geth_does() -> None:
    backend = Backend()
    root = backend.chain.canonical[0].header.state_root
    backend.engine.pruned.add(root)
    async with running(backend) as server:
        client = await server.http()
        genesis = "0x" + backend.chain.canonical[0].hash.hex()
        for method, argument, problem in (
            ("debug_traceTransaction", UNKNOWN, "transaction not found"),
            ("debug_traceBlockByHash", UNKNOWN, f"block {UNKNOWN} not found"),
            ("debug_traceBlockByNumber", "0x99", "block #153 not found"),
            ("debug_traceBlockByNumber", "0x0", "genesis is not traceable"),
            ("debug_traceBlockByHash", genesis, "genesis is not traceable"),
            (
                "debug_traceTransaction",
                FIRST,
                f"historical state 0x{root.hex()} is not available",
            ),
        ):
            assert await client.error(method, argument) == (-32000, problem)
        code, message = await client.error("debug_traceBlock", "0x0102")
        assert code == -32000
        assert str(message).startswith("could not decode block: ")
        orphan = make_block(9, make_block(8, None))
        assert await client.error("debug_traceBlock", "0x" + orphan.rlp.hex()) == (
            -32000,
            f"parent 0x{orphan.header.parent_hash.hex()} not found",
        )


async def test_a_witness_comes_with_the_parents_header() -> None:
    async with running() as server:
        client = await server.http()
        parent = server.backend.chain.canonical[1]
        assert await client.result("debug_executionWitness", "0x2") == {
            "state": ["0x01"],
            "codes": [],
            "keys": [],
            "headers": ["0x" + parent.header.encode().hex()],
        }
