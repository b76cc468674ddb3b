"""A withdrawal from L2 to L1: initiated, followed through its stages, and settled by the account's own key or by the relayer.

    amount, account -> initiateWithdrawal, or withdrawTo on the L2StandardBridge -> L2 receipt -> its hash
    hash, account -> rollup_withdrawal (bridge or watchtower) -> provable? prove. finalizable? finalize. -> settled

Where it stands and what it waits for is read anew at every look, so a reorganisation of L1, a game that falls, or somebody else
who was quicker changes what happens next and nothing more.
Deliberately absent: judging where it stands (bridge.withdrawals), and any key but those of the test accounts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from bridge.withdrawals.proving import finalize_call, prove_call
from deploy.accounts import FundedAccount
from deploy.chains import (
    Chain,
    TransactionFailed,
    hex_bytes,
    json_object,
    logs_of,
    quantity,
    receipt_of,
    topics_of,
    transact,
    wait_a_moment,
)
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.tokens import MESSAGE_GAS, Token, bridge_of_l2, withdraw_call
from node.contracts.addresses import MESSAGE_PASSER, PORTAL
from node.contracts.bindings import (
    MESSAGE_PASSED,
    MessagePassed,
    initiate_withdrawal,
    read_message_passed,
)
from node.errors import Rejected
from node.eth.headers import Header, decode_header, header_bytes_of_block
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import sent_messages_slot

CALL_GAS: Final = 100_000
"""Gas of the call on L1: enough for a plain transfer and a wallet contract's receive function."""

SETTLED_DEADLINE_S: Final = 1_800.0
"""A withdrawal that is not settled by then is given up on; the default devnet takes about forty seconds."""

KNOWN_DEADLINE_S: Final = 60.0
"""By then bridge or watchtower know of a withdrawal."""

TRIED_AGAIN_S: Final = 15.0
"""A transaction of ours that changed nothing is sent again after this long."""

STAGES: Final = ("initiated", "provable", "proven", "in_challenge", "finalizable", "settled")
"""In their order, as `rollup_withdrawal` names them."""


class WithdrawalFailed(Exception):
    """A withdrawal that was refused or did not settle; the message says where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Whom the commands ask."""

    l1: Chain
    """L1."""
    l2: Chain
    """The L2."""
    games: Chain
    """Those processes of the L2 that follow games: bridge and watchtower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiated:
    """A withdrawal that L2 holds."""

    message: MessagePassed
    """What was sent."""
    l2_transaction: str
    """Hash of the transaction that sent it."""
    l2_block: int
    """Number of the block that holds it."""

    @property
    def name(self) -> str:
        """Its hash."""
        return "0x" + self.message.withdrawal_hash.hex()


Report = dict[str, JsonValue]
"""An answer of `rollup_withdrawal`."""

Tell = Callable[[Report], None]
"""Told where a withdrawal stands, at every look."""


def initiate(l2: Chain, sender: FundedAccount, to: str, value_wei: int) -> Initiated:
    """Send ETH to L1. Raises TransactionFailed, RpcRefused, RpcUnavailable."""
    call = initiate_withdrawal(Address(hex_bytes(to.lower())), gas_limit=CALL_GAS)
    return _initiated(l2, transact(l2, sender, _passer(), call, value_wei=value_wei))


def initiate_token(
    l2: Chain, sender: FundedAccount, to: str, token: Token, units: int
) -> Initiated:
    """Send tokens to L1. Raises TransactionFailed, RpcRefused, RpcUnavailable."""
    call = withdraw_call(token, to, units, MESSAGE_GAS)
    return _initiated(l2, transact(l2, sender, bridge_of_l2(), call))


def recent(l2: Chain, count: int) -> Iterator[str]:
    """Hashes of the newest withdrawals, the newest first. Raises RpcRefused, RpcUnavailable."""
    logs = l2.logs(_passer(), ["0x" + MESSAGE_PASSED.hex()], newest_first=True)
    for _, log in zip(range(count), logs, strict=False):
        message = read_message_passed(topics_of(log), hex_bytes(log["data"]))
        assert message is not None, "the message passer writes no other logs of this name"
        yield "0x" + message.withdrawal_hash.hex()


def standing(
    games: Chain,
    name: str,
    deadline_s: float = KNOWN_DEADLINE_S,
    *,
    sender: FundedAccount | None = None,
) -> Report:
    """Where a withdrawal stands, once bridge or watchtower know of it; for an account that acts, if one is given.

    Raises:
        WithdrawalFailed: they do not know it in time.
        RpcRefused: they will not say.
        RpcUnavailable: neither of them answers.
    """
    end = time.monotonic() + deadline_s
    while True:
        report = _asked(games, name, sender)
        if isinstance(report, dict):
            return report
        if time.monotonic() >= end:
            raise WithdrawalFailed(f"the L2 holds no withdrawal {name}, and no such transaction")
        wait_a_moment()


def ask_relayer(games: Chain, name: str) -> str | None:
    """Ask the bridge's relayer to settle a withdrawal; gives why it does not."""
    reasons = []
    for url in games.urls:
        try:
            Chain([url]).ask("rollup_settle", name)
        except (RpcRefused, RpcUnavailable) as error:
            reasons.append(str(error))
        else:
            return None
    return reasons[0]


def settle(
    chains: Chains,
    name: str,
    sender: FundedAccount | None,
    tell: Tell,
    deadline_s: float = SETTLED_DEADLINE_S,
) -> Report:
    """Follow a withdrawal until it is settled; prove and finalize it on the way.

    Args:
        chains: whom to ask.
        name: its hash, or that of its L2 transaction.
        sender: who proves and finalizes; None leaves that to others.
        tell: told at every look.
        deadline_s: how long to wait.

    Raises:
        WithdrawalFailed: it is not settled in time, or unknown.
    """
    end = time.monotonic() + deadline_s
    hand = None if sender is None else _Hand(chains, sender)
    report = standing(chains.games, name, sender=sender)
    while report["state"] != "settled" or report["settlement"] is None:
        tell(report)
        if time.monotonic() >= end:
            refusal = None if hand is None else hand.refusal
            raise WithdrawalFailed(
                f"{report['withdrawalHash']} is {report['state']} after {deadline_s:.0f} s, and waits for "
                f"{', '.join(needs_of(report)) or 'nothing'}"
                + ("" if refusal is None else f"; the last attempt failed: {refusal}")
            )
        if hand is not None:
            hand.act(report)
        wait_a_moment()
        report = _looked_again(chains.games, name, sender, report)
    tell(report)
    return report


def needs_of(report: Report) -> list[str]:
    """Names of what a withdrawal waits for."""
    return [str(wait["for"]) for wait in waits_of(report)]


def waits_of(report: Report) -> list[dict[str, JsonValue]]:
    """What a withdrawal waits for."""
    waits = report["waitsFor"]
    assert isinstance(waits, list)
    return [json_object(wait) for wait in waits]


def message_of(report: Report) -> MessagePassed:
    """The message of a withdrawal."""
    message = json_object(report["message"])
    return MessagePassed(
        nonce=quantity(message["nonce"]),
        sender=Address(hex_bytes(message["sender"])),
        target=Address(hex_bytes(message["target"])),
        value=quantity(message["value"]),
        gas_limit=quantity(message["gasLimit"]),
        data=hex_bytes(message["data"]),
        withdrawal_hash=_hash(report["withdrawalHash"]),
    )


class _Hand:
    """Proves and finalizes with an account's key, each once for what it was for."""

    def __init__(self, chains: Chains, sender: FundedAccount) -> None:
        self._chains = chains
        self._sender = sender
        self._sent: dict[str, float] = {}
        """What was sent, by what it was for, and when."""
        self.refusal: str | None = None
        """Why the last attempt was not sent; None if it was."""

    def act(self, report: Report) -> None:
        """Do what is due. A refusal is remembered and no failure: somebody was quicker, or L1 has just moved; the next look tells."""
        due = self._due(report)
        if due is None:
            return
        purpose, call = due
        now = time.monotonic()
        if now - self._sent.get(purpose, -TRIED_AGAIN_S) < TRIED_AGAIN_S:
            return
        try:
            data = call(report)
            transact(self._chains.l1, self._sender, "0x" + PORTAL.hex(), data)
        except (RpcRefused, RpcUnavailable, Rejected) as error:
            self.refusal = str(error)
            return
        self.refusal = None
        self._sent[purpose] = now

    def _due(self, report: Report) -> tuple[str, Callable[[Report], bytes]] | None:
        match needs_of(report):
            case ["proof"]:
                return f"prove {json_object(report['game'])['address']}", self._prove
            case ["finalization"]:
                return f"finalize on {json_object(report['proof'])['submitter']}", _finalize
            case _:
                return None

    def _prove(self, report: Report) -> bytes:
        game, message, l2 = json_object(report["game"]), message_of(report), self._chains.l2
        number = game["l2BlockNumber"]
        slot = "0x" + sent_messages_slot(message.withdrawal_hash).hex()
        proof = json_object(l2.ask("eth_getProof", _passer(), [slot], number))
        slots = proof["storageProof"]
        assert isinstance(slots, list)
        nodes = json_object(slots[0])["proof"]
        assert isinstance(nodes, list)
        header = _header(l2, number)
        return prove_call(
            message, quantity(game["index"]), header, [hex_bytes(one) for one in nodes]
        )


def _finalize(report: Report) -> bytes:
    submitter = json_object(report["proof"])["submitter"]
    return finalize_call(message_of(report), Address(hex_bytes(submitter)))


def _asked(games: Chain, name: str, sender: FundedAccount | None) -> JsonValue:
    """Where it stands for whoever acts. A stranger's proof counts for him only once it is ready, so he proves for himself."""
    account = () if sender is None else (sender.address,)
    return games.ask("rollup_withdrawal", name, *account)


def _looked_again(games: Chain, name: str, sender: FundedAccount | None, before: Report) -> Report:
    """Where it stands now; as before while nobody answers, or while a reset of the L2 has taken its block."""
    try:
        report = _asked(games, name, sender)
    except RpcUnavailable:
        return before
    return report if isinstance(report, dict) else before


def _initiated(l2: Chain, transaction: str) -> Initiated:
    receipt = receipt_of(l2, transaction)
    logs = logs_of(receipt, _passer(), MESSAGE_PASSED)
    if not logs:
        raise TransactionFailed(f"{transaction} sent nothing to L1")
    message = read_message_passed(topics_of(logs[0]), hex_bytes(logs[0]["data"]))
    assert message is not None, "the message passer writes no other logs of this name"
    return Initiated(
        message=message, l2_transaction=transaction, l2_block=quantity(receipt["blockNumber"])
    )


def _header(l2: Chain, number: JsonValue) -> Header:
    raw = hex_bytes(l2.ask("debug_getRawBlock", number))
    return decode_header(header_bytes_of_block(raw))


def _hash(value: JsonValue) -> Hash32:
    return Hash32(hex_bytes(value))


def _passer() -> str:
    return "0x" + MESSAGE_PASSER.hex()
