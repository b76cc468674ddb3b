"""Games and withdrawals over JSON-RPC: whole answers, nothing where there is nothing, and who does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from node.eth.primitives import Address, Hash32
from node.rpc.bridging import (
    BlockReport,
    GameReport,
    ProofReport,
    SettlementReport,
    WaitReport,
    WithdrawalReport,
)
from tests.node.rpc.clients import running, running_with
from tests.node.rpc.l2 import SETTINGS, L2Backend

HERE: Final = BlockReport(number=120, hash=Hash32(b"\x11" * 32), timestamp=1_300)

WAIT: Final = WaitReport(need="challenge", block=121, timestamp=None, expected_at=1_302)

GAME: Final = GameReport(
    at=HERE,
    index=4,
    address=Address(b"\x9a" * 20),
    status="in_progress",
    is_proper=True,
    l2_block=10,
    root_claim=Hash32(b"\x0c" * 32),
    own_root=None,
    created_block=115,
    created_at=1_290,
    resolved_block=0,
    waits=(WAIT,),
)

PROOF: Final = ProofReport(
    submitter=Address(b"\x5b" * 20),
    proven_at=1_296,
    is_final=False,
    game_index=4,
    game_address=GAME.address,
)

WITHDRAWAL: Final = WithdrawalReport(
    at=HERE,
    withdrawal_hash=Hash32(b"\x77" * 32),
    state="proven",
    is_paused=True,
    waits=(WAIT, WaitReport(need="unpause", block=None, timestamp=None, expected_at=None)),
    expected_at=None,
    game=GAME,
    proof=PROOF,
    fallen=(replace(PROOF, game_index=3),),
    settlement=SettlementReport(
        transaction_hash=Hash32(b"\x7e" * 32), block_number=130, succeeded=False
    ),
    l2_block=9,
    l2_block_hash=Hash32(b"\x22" * 32),
    l2_transaction_hash=Hash32(b"\x33" * 32),
    l2_status="safe",
    nonce=1 << 240,
    sender=Address(b"\x01" * 20),
    target=Address(b"\x02" * 20),
    value=5,
    gas_limit=21_000,
    data=b"\xda\x7a",
    is_relayed=True,
)


@dataclass(slots=True)
class FakeBridge:
    """Knows what a test tells it."""

    games: Mapping[int, GameReport] = field(default_factory=lambda: {4: GAME})
    withdrawals: Mapping[Hash32, WithdrawalReport] = field(
        default_factory=lambda: {WITHDRAWAL.withdrawal_hash: WITHDRAWAL}
    )
    refusal: str | None = None
    asked: list[Hash32] = field(default_factory=list)
    submitters: list[Address | None] = field(default_factory=list)

    async def game(self, index: int) -> GameReport | None:
        return self.games.get(index)

    async def withdrawal(
        self, name: Hash32, submitter: Address | None = None
    ) -> WithdrawalReport | None:
        self.submitters.append(submitter)
        return self.withdrawals.get(name)

    async def settle(self, name: Hash32) -> str | None:
        self.asked.append(name)
        return self.refusal


WAIT_JSON: Final = {"for": "challenge", "block": "0x79", "timestamp": None, "expectedAt": "0x516"}
HERE_JSON: Final = {"number": "0x78", "hash": "0x" + "11" * 32, "timestamp": "0x514"}
GAME_JSON: Final = {
    "index": "0x4",
    "address": "0x" + "9a" * 20,
    "status": "in_progress",
    "proper": True,
    "l2BlockNumber": "0xa",
    "rootClaim": "0x" + "0c" * 32,
    "ownRoot": None,
    "createdBlock": "0x73",
    "createdAt": "0x50a",
    "resolvedBlock": None,
    "waitsFor": [WAIT_JSON],
    "l1": HERE_JSON,
}
PROOF_JSON: Final = {
    "submitter": "0x" + "5b" * 20,
    "provenAt": "0x510",
    "final": False,
    "gameIndex": "0x4",
    "game": "0x" + "9a" * 20,
}


async def test_a_game_is_told_with_what_it_waits_for() -> None:
    view = FakeBridge()
    async with running_with(L2Backend(bridge=view), settings=SETTINGS) as server:
        client = await server.http()
        assert await client.result("rollup_game", "0x4") == GAME_JSON
        assert await client.result("rollup_game", 4) == GAME_JSON
        assert await client.result("rollup_game", "0x5") is None
        over = replace(GAME, resolved_block=122, own_root=GAME.root_claim, waits=())
        view.games = {0: over}
        assert await client.result("rollup_game", "0x0") == GAME_JSON | {
            "resolvedBlock": "0x7a",
            "ownRoot": "0x" + "0c" * 32,
            "waitsFor": [],
            "index": "0x4",
        }


async def test_a_withdrawal_is_told_in_one_answer() -> None:
    async with running_with(L2Backend(bridge=FakeBridge()), settings=SETTINGS) as server:
        client = await server.http()
        assert await client.result("rollup_withdrawal", "0x" + "77" * 32) == {
            "withdrawalHash": "0x" + "77" * 32,
            "state": "proven",
            "paused": True,
            "waitsFor": [
                WAIT_JSON,
                {"for": "unpause", "block": None, "timestamp": None, "expectedAt": None},
            ],
            "expectedAt": None,
            "game": GAME_JSON,
            "proof": PROOF_JSON,
            "fallen": [PROOF_JSON | {"gameIndex": "0x3"}],
            "settlement": {
                "transactionHash": "0x" + "7e" * 32,
                "blockNumber": "0x82",
                "succeeded": False,
            },
            "relayed": True,
            "l2": {
                "blockNumber": "0x9",
                "blockHash": "0x" + "22" * 32,
                "transactionHash": "0x" + "33" * 32,
                "status": "safe",
            },
            "message": {
                "nonce": hex(1 << 240),
                "sender": "0x" + "01" * 20,
                "target": "0x" + "02" * 20,
                "value": "0x5",
                "gasLimit": "0x5208",
                "data": "0xda7a",
            },
            "l1": HERE_JSON,
        }
        assert await client.result("rollup_withdrawal", "0x" + "78" * 32) is None


async def test_a_withdrawal_is_told_as_it_stands_for_an_account() -> None:
    view = FakeBridge()
    async with running_with(L2Backend(bridge=view), settings=SETTINGS) as server:
        client = await server.http()
        name, account = "0x" + "77" * 32, "0x" + "0e" * 20
        for arguments in ([name], [name, None], [name, account]):
            assert await client.result("rollup_withdrawal", *arguments) is not None
        assert view.submitters == [None, None, Address(b"\x0e" * 20)]
        code, message = await client.error("rollup_withdrawal", name, "0x0e")
        assert (code, "argument 1" in str(message)) == (-32602, True)


async def test_a_relayer_takes_what_it_is_asked_or_says_why_not() -> None:
    view = FakeBridge()
    async with running_with(L2Backend(bridge=view), settings=SETTINGS) as server:
        client = await server.http()
        assert await client.result("rollup_settle", "0x" + "77" * 32) is True
        view.refusal = "no relayer runs here"
        found = await client.error("rollup_settle", "0x" + "78" * 32)
        assert found == (-32000, "no relayer runs here")
        assert view.asked == [Hash32(b"\x77" * 32), Hash32(b"\x78" * 32)]


async def test_who_follows_no_games_names_those_who_do() -> None:
    async with running_with(L2Backend(), settings=SETTINGS) as server, running() as of_l1:
        client = await server.http()
        for method, argument in (
            ("rollup_game", "0x0"),
            ("rollup_withdrawal", "0x" + "77" * 32),
            ("rollup_settle", "0x" + "77" * 32),
        ):
            assert await client.error(method, argument) == (
                -32000,
                "this process follows no games: ask the bridge or the watchtower",
            )
            assert (await (await of_l1.http()).error(method, argument))[0] == -32601


async def test_wrong_arguments_are_named() -> None:
    async with running_with(L2Backend(bridge=FakeBridge()), settings=SETTINGS) as server:
        client = await server.http()
        for method, arguments in (
            ("rollup_game", []),
            ("rollup_game", [-4]),
            ("rollup_game", ["latest"]),
            ("rollup_withdrawal", []),
            ("rollup_withdrawal", ["0x77"]),
            ("rollup_settle", ["0x" + "77" * 33]),
        ):
            code, message = await client.error(method, *arguments)
            assert code == -32602
            assert "argument 0" in str(message)
