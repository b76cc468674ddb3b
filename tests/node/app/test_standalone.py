"""A standalone node put together: what it answers, and how it ends when its files are wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import trio
from click.testing import CliRunner

from deploy.commands.node import node as command
from node.app.failures import SetupError, TaskFailed
from node.app.standalone import StandaloneConfig, read_genesis_file, run_standalone
from tests.kit.foreign_chain import FORKS, LAST_HASH, blocks, genesis_text, ommers_of
from tests.node.rpc.clients import HttpClient

FIRST_OMMER = next(number for number, block in enumerate(blocks(), 1) if ommers_of(block))
"""The first block that names ommers."""


def config(tmp_path: Path, *, chain: Path | None = FORKS / "chain.rlp.gz") -> StandaloneConfig:
    """A node over EELS's chain."""
    return StandaloneConfig(
        genesis_file=FORKS / "genesis.json",
        chain_file=chain,
        data_dir=None,
        state_home=tmp_path,
        rpc_port=0,
        metrics_port=0,
    )


@asynccontextmanager
async def serving(settings: StandaloneConfig) -> AsyncIterator[HttpClient]:
    """A client of a node that serves."""
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(run_standalone, settings)
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
        yield HttpClient(stream)
        await stream.aclose()
        nursery.cancel_scope.cancel()


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [entry.name for entry in folder.iterdir()]


async def ask(client: HttpClient, method: str, *params: object) -> object:
    """The result of a call."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = (await client.post(orjson.dumps(request))).json()
    assert isinstance(answer, dict)
    return answer["result"]


async def test_it_serves_the_chain_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Given EELS's chain, when imported and served, then its last block is every tag's, also for a second start without the file."""
    for settings in (config(tmp_path), config(tmp_path, chain=None)):
        async with serving(settings) as client:
            for tag in ("latest", "safe", "finalized"):
                block = await ask(client, "eth_getBlockByNumber", tag, False)
                assert isinstance(block, dict)
                assert block["hash"] == LAST_HASH
            assert await ask(client, "eth_chainId") == hex(1_337)
            info = await ask(client, "devnet_info")
            assert isinstance(info, dict)
            assert info["l1"]["chainId"] == 1_337
            assert await ask(client, "eth_syncing") is False
    assert names(tmp_path) == ["node-fae84ccd"]


async def test_a_block_of_work_is_told_as_it_is(tmp_path: Path) -> None:
    """Given a block with ommers, when asked for, then they, its fields and what it was paid are told."""
    async with serving(config(tmp_path)) as client:
        number = hex(FIRST_OMMER)
        block = await ask(client, "eth_getBlockByNumber", number, False)
        assert isinstance(block, dict)
        assert "baseFeePerGas" not in block
        assert "withdrawals" not in block
        count = len(ommers_of(blocks()[FIRST_OMMER - 1]))
        assert await ask(client, "eth_getUncleCountByBlockNumber", number) == hex(count)
        assert len(block["uncles"]) == count
        ommer = await ask(client, "eth_getUncleByBlockHashAndIndex", block["hash"], "0x0")
        assert isinstance(ommer, dict)
        assert ommer["hash"] == block["uncles"][0]
        assert (ommer["uncles"], "transactions" in ommer) == ([], False)
        assert await ask(client, "eth_getUncleByBlockNumberAndIndex", number, "0x2") is None
        details = await ask(client, "ots_getBlockDetails", number)
        assert isinstance(details, dict)
        issued = {key: int(value, 16) for key, value in details["issuance"].items()}
        assert issued["blockReward"] == 5 * 10**18 + count * 5 * 10**18 // 32
        assert issued["issuance"] == issued["blockReward"] + issued["uncleReward"]


async def test_old_states_and_receipts_are_kept(tmp_path: Path) -> None:
    """Given a chain to the merge, when the first blocks are asked about, then states, receipts with roots and traces are there."""
    async with serving(config(tmp_path)) as client:
        receipts = await ask(client, "eth_getBlockReceipts", "0x1")
        assert isinstance(receipts, list)
        assert all(len(one["root"]) == 66 and "status" not in one for one in receipts)
        assert "effectiveGasPrice" in receipts[0]
        sender = receipts[0]["from"]
        counts = [await ask(client, "eth_getTransactionCount", sender, hex(at)) for at in (0, 1)]
        assert counts[0] == "0x0" != counts[1]
        traces = await ask(client, "debug_traceBlockByNumber", "0x1", {"tracer": "callTracer"})
        assert isinstance(traces, list)
        assert [one["txHash"] for one in traces] == [one["transactionHash"] for one in receipts]
        pending = await ask(client, "eth_getBlockByNumber", "pending", False)
        assert isinstance(pending, dict)
        assert pending["number"] == hex(57)


async def failure(settings: StandaloneConfig) -> Exception:
    """Why a node does not come to serve."""
    with pytest.raises((SetupError, TaskFailed)) as caught:
        await run_standalone(settings)
    return caught.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alloc": None}, "alloc: found nothing, want a genesis file in geth's format"),
        ({"gasLimit": None}, "gasLimit: found nothing"),
        ({"config": {"chainId": "x"}}, "config.chainId: found 'x', want 0 to"),
        ({"config": {"chainId": "0x_1"}}, "config.chainId: found '0x_1', want 0 to"),
        ({"gasUsed": "0x1"}, "gasUsed: found '0x1', want nothing"),
        ({"alloc": {"0x12": {}}}, "genesis: "),
        ({"extraData": "0x" + "ee" * 33}, "encoding_wrong_length: extra data of 33 bytes"),
        ({"rollup": {"chain_id": 1_337}}, "rollup.chain_id: found a rollup's genesis file"),
        ({"config": {"chainId": 1, "clique": {}}}, "config.clique: found a proof-of-authority"),
    ],
)
async def test_a_wrong_genesis_file_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps(json.loads(genesis_text()) | change))
    settings = config(tmp_path)
    error = await failure(
        StandaloneConfig(
            genesis_file=file,
            chain_file=None,
            data_dir=tmp_path / "data",
            state_home=settings.state_home,
            rpc_port=0,
            metrics_port=None,
        )
    )
    assert isinstance(error, SetupError)
    assert str(error).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no JSON: "),
        (b"[" * 5_000, "no JSON: "),
        (b"\xff{}", "no JSON: "),
        (b'{"config": ' + b"1" * 5_000 + b"}", "no JSON: "),
        (b"[]", "found b'[]', want an object in geth's format"),
    ],
    ids=["nothing", "deeply nested", "no text", "a number of 5,000 digits", "a list"],
)
def test_what_is_no_genesis_file_is_told(tmp_path: Path, text: bytes, message: str) -> None:
    file = tmp_path / "genesis.json"
    with pytest.raises(SetupError) as caught:
        read_genesis_file(text, file)
    assert str(caught.value).startswith(f"{file}: {message}")


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    code = done.return_value if done.exception is None else getattr(done.exception, "exit_code", 1)
    return int(str(code)), done.output + str(done.exception or "")


@pytest.mark.usefixtures("restored_logs")
def test_exit_codes(tmp_path: Path) -> None:
    """Given files that cannot be used, when started, then 2 says the set-up is wrong and 1 that the import failed."""
    data = ["--data", str(tmp_path / "data"), "--rpc-port", "0"]
    genesis = ["--genesis", str(FORKS / "genesis.json")]
    broken = tmp_path / "broken.json"
    broken.write_text('{"config": ')
    code, said = run("--genesis", str(broken), *data)
    assert (code, "broken.json: no JSON: " in said) == (2, True)
    code, said = run("--genesis", str(tmp_path / "none.json"), *data)
    assert (code, "none.json: cannot be read" in said) == (2, True)
    cut = tmp_path / "cut.rlp"
    cut.write_bytes(gzip.decompress((FORKS / "chain.rlp.gz").read_bytes())[:-5])
    code, said = run(*genesis, "--import", str(cut), *data)
    assert (code, "cut.rlp: item 55: the file ends 5 bytes too early" in said) == (1, True)
    code, said = run(*genesis, "--import", str(tmp_path / "none.rlp"), *data)
    assert (code, "none.rlp: cannot be read: No such file" in said) == (1, True)
    (tmp_path / "devnet").mkdir()
    (tmp_path / "devnet" / "network.json").write_text("{}")
    code, said = run(*genesis, "--data", str(tmp_path / "devnet"))
    assert (code, "found a devnet, want a folder for this chain alone" in said) == (2, True)
    assert run(*genesis, "--rpc-port", "70000")[0] == 2
