"""What waits for a block."""

from __future__ import annotations

import pytest
from trio.testing import wait_all_tasks_blocked

from node.eth.primitives import Address
from node.rpc.namespaces import txpool
from node.rpc.namespaces.txpool import checksummed
from tests.node.rpc.clients import call_text, http_post, running
from tests.node.rpc.fake_pool import RICH, FakePooled
from tests.node.rpc.fakes import Backend, GatedWorker

SENDER = "0x" + RICH.hex()


def backend() -> Backend:
    made = Backend()
    made.pool.ready[RICH] = [FakePooled(raw=b"a", nonce=0), FakePooled(raw=b"b", nonce=1, to=None)]
    made.pool.waiting[RICH] = [FakePooled(raw=b"c", nonce=9)]
    return made


async def test_the_pool_is_listed_by_sender_and_nonce() -> None:
    async with running(backend()) as server:
        client = await server.http()
        content = {
            "pending": {"0": {"pending": b"a".hex()}, "1": {"pending": b"b".hex()}},
            "queued": {"9": {"pending": b"c".hex()}},
        }
        assert await client.result("txpool_status") == {"pending": "0x2", "queued": "0x1"}
        assert await client.result("txpool_content") == {
            kind: {SENDER: rows} for kind, rows in content.items()
        }
        assert await client.result("txpool_contentFrom", SENDER) == content
        nobody = "0x" + "00" * 20
        assert await client.result("txpool_contentFrom", nobody) == {"pending": {}, "queued": {}}
        assert await client.result("txpool_inspect") == {
            "pending": {
                SENDER: {
                    "0": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC: 1 wei + 21000 gas × 7 wei",  # noqa: RUF001
                    "1": "contract creation: 1 wei + 21000 gas × 7 wei",  # noqa: RUF001
                }
            },
            "queued": {
                SENDER: {
                    "9": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC: 1 wei + 21000 gas × 7 wei"  # noqa: RUF001
                }
            },
        }


async def test_a_pool_too_large_for_one_response_is_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(txpool, "LISTED_BYTES_MAX", 2)
    made = backend()
    made.pool.ready[Address(b"\x22" * 20)] = [FakePooled(raw=b"d")]
    async with running(made) as server:
        client = await server.http()
        content = await client.result("txpool_content")
        assert isinstance(content, dict)
        assert list(content["pending"]) == [SENDER]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("txpool_content", []), ("txpool_inspect", []), ("txpool_contentFrom", [SENDER])],
)
async def test_the_pool_is_printed_away_from_the_loop(method: str, arguments: list[str]) -> None:
    """Given a busy worker, when somebody lists the pool, then others are answered meanwhile."""
    made, worker = backend(), GatedWorker()
    made.worker = worker
    async with running(made) as server:
        listing, other = await server.http(), await server.http()
        await listing.send(http_post(call_text(method, *arguments)))
        await wait_all_tasks_blocked()
        assert await other.result("eth_chainId") == "0x384"
        worker.gate.set()
        listed = (await listing.reply()).json()
        assert isinstance(listed, dict)
        assert list(listed["result"]) == ["pending", "queued"]


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_addresses_carry_the_checksum_of_eip_55(address: str) -> None:
    assert checksummed(bytes.fromhex(address[2:])) == address
