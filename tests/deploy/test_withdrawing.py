"""`faultline withdraw|withdrawals`: what is sent at which stage, once; what is shown; who is asked."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import orjson
import pytest
from pydantic import JsonValue

from deploy import chains as deploy_chains, withdrawing
from deploy.accounts import FundedAccount
from deploy.chains import Chain
from deploy.cli import main
from deploy.commands import withdrawing as command
from deploy.creation import create
from deploy.derivation import mnemonic_accounts
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import claim
from deploy.progress import Progress
from deploy.sections import BridgeSection, L2Section
from deploy.withdrawing import (
    Chains,
    Initiated,
    Report,
    WithdrawalFailed,
    ask_relayer,
    settle,
    standing,
)
from node.contracts.bindings import MessagePassed
from node.errors import Rejected
from node.eth.primitives import Address, Hash32

(SENDER,) = mnemonic_accounts(1)
NAME: Final = "0x" + "77" * 32
GAME: Final[dict[str, JsonValue]] = {
    "index": "0x4",
    "address": "0x" + "9a" * 20,
    "status": "in_progress",
    "l2BlockNumber": "0xa",
}
PROOF: Final[dict[str, JsonValue]] = {
    "submitter": "0x" + "5b" * 20,
    "gameIndex": "0x4",
    "game": "0x" + "9a" * 20,
}


def report(state: str, *needs: str, **changes: JsonValue) -> Report:
    """An answer of `rollup_withdrawal`."""
    waits: list[JsonValue] = [
        {"for": need, "block": "0x79", "timestamp": None, "expectedAt": None} for need in needs
    ]
    has_game = state != "initiated"
    has_proof = state in ("proven", "in_challenge", "finalizable", "settled")
    found: Report = {
        "withdrawalHash": NAME,
        "state": state,
        "waitsFor": waits,
        "expectedAt": None,
        "game": GAME if has_game else None,
        "proof": PROOF if has_proof else None,
        "fallen": [],
        "settlement": None,
        "l2": {"blockNumber": "0x9"},
        "message": {
            "nonce": hex(1 << 240),
            "sender": "0x" + "01" * 20,
            "target": "0x" + "02" * 20,
            "value": hex(5 * 10**17),
            "gasLimit": "0x5208",
            "data": "0x",
        },
    }
    return found | changes


SETTLED: Final = report(
    "settled",
    settlement={"transactionHash": "0x" + "7e" * 32, "blockNumber": "0x82", "succeeded": True},
)


@dataclass
class Asked:
    """`rollup_withdrawal` answers these, one after the other; the last one stays."""

    reports: list[JsonValue]
    refusals: dict[str, str] = field(default_factory=dict)
    """Processes that refuse to relay, and why."""
    parameters: list[tuple[JsonValue, ...]] = field(default_factory=list)
    """What they were asked with."""

    def call(self, url: str, method: str, *parameters: JsonValue) -> JsonValue:
        if url == "http://dead":
            raise RpcUnavailable("connection refused")
        if method == "rollup_settle":
            if url in self.refusals:
                raise RpcRefused(-32000, self.refusals[url])
            return True
        assert method == "rollup_withdrawal"
        self.parameters.append(parameters)
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]


class _Malformed(StrEnum):
    """Why a proof of the L2's cannot be used."""

    NODE = "node_malformed"


@dataclass
class Ticking:
    """A clock that is a second further at every look."""

    now_s: float = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def chains_of(*urls: str) -> Chains:
    return Chains(l1=Chain(["http://l1"]), l2=Chain(["http://l2"]), games=Chain(urls))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which calls were sent to L1, by their selector."""
    calls: list[str] = []

    def transact(chain: Chain, sender: FundedAccount, to: str, data: bytes) -> str:
        assert chain.urls[0] in ("http://l1", "http://127.0.0.1:8545")
        assert sender == SENDER
        calls.append(data[:4].hex())
        return "0xaa"

    monkeypatch.setattr(withdrawing, "transact", transact)
    monkeypatch.setattr(withdrawing, "prove_call", lambda *_: bytes.fromhex("4870496f"))
    monkeypatch.setattr(withdrawing, "_header", lambda *_: None)
    monkeypatch.setattr(deploy_chains, "LOOK_EVERY_S", 0.0)
    return calls


def answer(monkeypatch: pytest.MonkeyPatch, reports: Sequence[JsonValue]) -> Asked:
    asked = Asked(list(reports))

    def call(url: str, method: str, *parameters: JsonValue) -> JsonValue:
        if method == "eth_getProof":
            return {"storageProof": [{"proof": ["0x80"]}]}
        return asked.call(url, method, *parameters)

    monkeypatch.setattr(deploy_chains, "call", call)
    return asked


PROVE, FINALIZE = "4870496f", "43ca1c50"


def test_each_step_is_sent_once_however_often_one_looks(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    answer(
        monkeypatch,
        [
            report("initiated", "data", "game"),
            report("initiated", "game"),
            *[report("provable", "proof")] * 3,
            report("proven", "challenge", "air_gap", "maturity"),
            report("in_challenge", "maturity"),
            *[report("finalizable", "finalization")] * 3,
            report("settled"),
            SETTLED,
        ],
    )
    told: list[str] = []
    found = settle(chains_of("http://b"), NAME, SENDER, lambda one: told.append(str(one["state"])))
    assert found == SETTLED
    assert sent == [PROVE, FINALIZE]
    assert list(dict.fromkeys(told)) == [
        "initiated",
        "provable",
        "proven",
        "in_challenge",
        "finalizable",
        "settled",
    ]


def test_a_withdrawal_whose_game_fell_is_proven_again_and_a_pause_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    other = GAME | {"index": "0x5", "address": "0x" + "9b" * 20}
    answer(
        monkeypatch,
        [
            report("provable", "unpause"),
            report("provable", "proof"),
            report("in_challenge", "challenge"),
            report("provable", "proof", game=other, fallen=[PROOF]),
            report("finalizable", "unpause"),
            report("finalizable", "finalization"),
            SETTLED,
        ],
    )
    settle(chains_of("http://b"), NAME, SENDER, lambda _: None)
    assert sent == [PROVE, PROVE, FINALIZE]


def test_who_only_follows_sends_nothing(monkeypatch: pytest.MonkeyPatch, sent: list[str]) -> None:
    asked = answer(monkeypatch, [report("provable", "proof"), SETTLED])
    assert settle(chains_of("http://b"), NAME, None, lambda _: None) == SETTLED
    assert sent == []
    assert asked.parameters == [(NAME,)] * 2


def test_who_acts_asks_how_it_stands_for_the_own_account(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    asked = answer(monkeypatch, [report("provable", "proof"), SETTLED])
    assert settle(chains_of("http://b"), NAME, SENDER, lambda _: None) == SETTLED
    assert sent == [PROVE]
    # A stranger's proof that is never ready would be waited for otherwise
    assert asked.parameters == [(NAME, SENDER.address)] * 2


def test_a_settlement_on_a_strangers_proof_that_restarted_holds_back_no_other(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    own = PROOF | {"submitter": SENDER.address}
    answer(
        monkeypatch,
        [
            report("finalizable", "finalization"),
            report("provable", "proof"),
            report("finalizable", "finalization", proof=own),
            SETTLED,
        ],
    )
    settle(chains_of("http://b"), NAME, SENDER, lambda _: None)
    assert sent == [FINALIZE, PROVE, FINALIZE]


def test_the_last_refusal_is_told_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    answer(monkeypatch, [report("provable", "proof")])
    for error in (
        RpcRefused(-32000, "insufficient funds for gas"),
        RpcUnavailable("connection refused"),
        Rejected(_Malformed.NODE),
    ):

        def refuse(*_: object, error: Exception = error) -> str:
            raise error

        monkeypatch.setattr(withdrawing, "transact", refuse)
        monkeypatch.setattr(withdrawing, "time", SimpleNamespace(monotonic=Ticking()))
        with pytest.raises(WithdrawalFailed, match="waits for proof; the last attempt") as caught:
            settle(chains_of("http://b"), NAME, SENDER, lambda _: None, deadline_s=5.0)
        assert str(error) in str(caught.value)
    assert sent == []


def test_the_watchtower_tells_where_the_bridge_does_not(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    answer(monkeypatch, [None, report("provable", "proof"), None, SETTLED])
    assert settle(chains_of("http://dead", "http://w"), NAME, SENDER, lambda _: None) == SETTLED
    assert sent == [PROVE]


def test_what_stays_unsettled_or_unknown_is_told(
    monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    answer(monkeypatch, [report("initiated", "data", "game")])
    with pytest.raises(WithdrawalFailed, match="is initiated after 0 s, and waits for data, game"):
        settle(chains_of("http://b"), NAME, SENDER, lambda _: None, deadline_s=0.0)
    answer(monkeypatch, [None])
    with pytest.raises(WithdrawalFailed, match="the L2 holds no withdrawal"):
        standing(chains_of("http://b").games, NAME, deadline_s=0.0)
    assert sent == []


def test_any_process_with_a_relayer_takes_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, [SETTLED])
    games = chains_of("http://w", "http://b").games
    asked.refusals = {"http://w": "no relayer runs here"}
    assert ask_relayer(games, NAME) is None
    asked.refusals["http://b"] = "full"
    assert ask_relayer(games, NAME) == "no relayer runs here"


def test_steps_are_told_once_each_and_a_fall_is_named() -> None:
    out = io.StringIO()
    progress = Progress(out=out)
    shown = command._Shown(progress)
    for one in (
        report("initiated", "data", "game"),
        report("initiated", "data", "game"),
        report("initiated", "game"),
        report("in_challenge", "challenge", "maturity"),
        report("initiated", "game", fallen=[PROOF]),
        SETTLED,
    ):
        shown(one)
    names = [line.split("  ")[0].removeprefix("✓ ").strip() for line in out.getvalue().splitlines()]
    assert names == [
        "initiated",
        "… waits",
        "… waits",
        "provable",
        "proven",
        "in challenge",
        "… waits",
        "fell back",
        "… waits",
        "provable",
        "proven",
        "in challenge",
        "finalizable",
        "settled",
    ]
    assert "for L1 block 121 to be final" in out.getvalue()
    assert "can hold nothing any more (4)" in out.getvalue()


def test_a_strangers_proof_that_began_anew_is_no_certain_reorganisation() -> None:
    out = io.StringIO()
    shown = command._Shown(Progress(out=out))
    for one in (report("finalizable", "finalization"), report("provable", "proof")):
        shown(one)
    wanted = "to provable: L1 was reorganised, or a stranger's proof began anew"
    assert wanted in out.getvalue()


# -- the commands


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAULTLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: True)
    layout = Layout(tmp_path / "data")
    claim(layout)
    manifest = Manifest(bridge=BridgeSection(enabled=True), l2=L2Section(replicas=0))
    create(layout, manifest, 1_800_000_000)
    return layout


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faultline", *arguments])
    return main()


@pytest.fixture
def initiated(monkeypatch: pytest.MonkeyPatch, data: Layout) -> list[tuple[str, int]]:
    """To whom how much was sent."""
    assert data.network.exists()
    found: list[tuple[str, int]] = []

    def initiate(l2: Chain, sender: FundedAccount, to: str, value_wei: int) -> Initiated:
        assert sender == SENDER
        assert l2.urls[0] == "http://127.0.0.1:9545"
        found.append((to, value_wei))
        message = MessagePassed(
            nonce=1 << 240,
            sender=Address(b"\1" * 20),
            target=Address(b"\2" * 20),
            value=value_wei,
            gas_limit=21_000,
            data=b"",
            withdrawal_hash=Hash32(b"\x77" * 32),
        )
        return Initiated(message=message, l2_transaction="0xbb", l2_block=9)

    monkeypatch.setattr(command, "initiate", initiate)
    return found


def test_without_waiting_the_relayer_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    initiated: list[tuple[str, int]],
    sent: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = answer(monkeypatch, [report("initiated", "data", "game")])
    assert run(monkeypatch, "withdraw", "0.5") == 0
    told = capsys.readouterr()
    assert f"The bridge's relayer settles it; `faultline withdrawals {NAME}`" in told.out
    assert "✓ initiated       in L2 block 9" in told.err
    asked.refusals = {f"http://127.0.0.1:{port}": "full" for port in (9546, 9547)}
    assert run(monkeypatch, "withdraw", "0.5", "--to", "0x" + "02" * 20, "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert (printed["state"], printed["relayer"]) == ("initiated", "full")
    assert initiated == [(SENDER.address, 5 * 10**17), ("0x" + "02" * 20, 5 * 10**17)]
    assert sent == []


def test_with_waiting_it_is_settled_by_the_account(
    monkeypatch: pytest.MonkeyPatch,
    initiated: list[tuple[str, int]],
    sent: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(
        monkeypatch,
        [report("provable", "proof"), report("finalizable", "finalization"), SETTLED],
    )
    assert run(monkeypatch, "withdraw", "0.5", "--wait", "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["settlement"] == SETTLED["settlement"]
    assert [one["step"] for one in printed["steps"]] == [
        "initiated",
        "provable",
        "proven",
        "in challenge",
        "finalizable",
        "settled",
    ]
    assert "relayer" not in printed
    assert sent == [PROVE, FINALIZE]
    assert len(initiated) == 1


def test_one_withdrawal_is_shown_with_its_stages(
    monkeypatch: pytest.MonkeyPatch, data: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.network.exists()
    answer(monkeypatch, [report("in_challenge", "challenge", "maturity")])
    assert run(monkeypatch, "withdrawals", NAME) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Withdrawal {NAME}",
        f"  0.5 ETH to 0x{'02' * 20}",
        "  ✓ initiated       in L2 block 9",
        "  ✓ provable        game 4 claims L2 block 10",
        f"  ✓ proven          by 0x{'5b' * 20} against game 4",
        "  ✓ in challenge    its game is open",
        "    finalizable",
        "    settled",
        "  waits for L1 block 121 to be final: until then anybody may disprove the output",
        "  waits for the proof to mature",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["withdraw", "many"], "AMOUNT: found 'many', wanted ETH as a decimal number"),
        (["withdraw", "1", "--to", "0x12"], "--to: found '0x12', wanted an address"),
        (["withdraw", "1", "--from", "10"], "--from: found 10, wanted less than 10"),
        (["withdraw", "1", "--token", "0x12"], "--token: found '0x12', wanted an address"),
        (["withdrawals", "0x12"], "HASH: found '0x12', wanted 0x and 64 hex digits"),
        (["withdrawals", "--wait"], "--wait: wants a HASH"),
    ],
)
def test_wrong_usage_gives_2(
    monkeypatch: pytest.MonkeyPatch,
    initiated: list[tuple[str, int]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
    assert initiated == []
