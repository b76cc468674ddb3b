"""What a peer did wrong, what it costs, and when it costs the connection.

Rules only: the time is an argument, the table changes through `blame` alone.
A score starts at 0, falls by the cost of each misbehaviour and climbs back with a half-life;
below SCORE_MIN the peer is disconnected and banned for a while that doubles with each ban.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Misbehaviour(StrEnum):
    """Why a peer is blamed; also the label of the metric that counts it."""

    MALFORMED_FRAME = "malformed_frame"
    """Bytes that are no yamux frame, no multistream token or no length."""
    MALFORMED_MESSAGE = "malformed_message"
    """A gossip RPC that does not decode, or breaks the pubsub format."""
    OVERSIZED = "oversized"
    """Announced or sent more bytes than this kind of message may have."""
    BAD_SIGNATURE = "bad_signature"
    """A gossip message that its author did not sign."""
    WINDOW_EXCEEDED = "window_exceeded"
    """More stream data than we gave credit for."""
    FRAME_FLOOD = "frame_flood"
    """More control frames or streams than any use of ours needs."""
    GOSSIP_FLOOD = "gossip_flood"
    """More gossip than its bucket holds."""
    REQUEST_FLOOD = "request_flood"
    """More requests than its bucket holds."""
    REJECTED_MESSAGE = "rejected_message"
    """The topic's handler said REJECT."""
    REJECTED_REQUEST = "rejected_request"
    """The request's handler raised Rejected."""
    BAD_BODY = "bad_body"
    """Announced a large message and sent something else, or nothing."""
    GRAFT_TOO_EARLY = "graft_too_early"
    """Asked back into a mesh before its backoff ended."""
    NOT_READING = "not_reading"
    """Left our writes waiting until their deadline."""
    SILENT = "silent"
    """Missed its pings."""
    REPORTED = "reported"
    """The node above blamed it; the log names why."""


COSTS: Final[dict[Misbehaviour, float]] = {
    Misbehaviour.MALFORMED_FRAME: 100.0,
    Misbehaviour.MALFORMED_MESSAGE: 51.0,
    Misbehaviour.OVERSIZED: 51.0,
    Misbehaviour.BAD_SIGNATURE: 51.0,
    Misbehaviour.WINDOW_EXCEEDED: 100.0,
    Misbehaviour.FRAME_FLOOD: 100.0,
    Misbehaviour.GOSSIP_FLOOD: 0.5,
    Misbehaviour.REQUEST_FLOOD: 1.0,
    Misbehaviour.REJECTED_MESSAGE: 21.0,
    Misbehaviour.REJECTED_REQUEST: 21.0,
    Misbehaviour.BAD_BODY: 21.0,
    Misbehaviour.GRAFT_TOO_EARLY: 2.0,
    Misbehaviour.NOT_READING: 10.0,
    Misbehaviour.SILENT: 0.0,
    Misbehaviour.REPORTED: 10.0,
}
"""Points, a little above the fraction of SCORE_MIN that is meant, since time forgives between one and the next. A thing only a broken or hostile program does costs the connection; what load can cause costs little."""

SCORE_MIN: Final = -100.0
"""At or below this a peer is disconnected and banned: at five rejected messages within ten seconds."""

HALF_LIFE_S: Final = 60.0
"""In this many seconds half of a peer's debt is forgiven."""

BAN_S: Final = 15.0
"""Seconds of the first ban: short, because on a devnet the peer is usually being debugged."""

BAN_MAX_S: Final = 600.0
"""Seconds a ban never exceeds."""

BAN_MEMORY_S: Final = 1_800.0
"""Seconds after which a peer that behaved starts again from the shortest ban."""

RECORDS_MAX: Final = 1_024
"""Peers remembered; identities are free, so the oldest record makes room."""


@dataclass(slots=True, kw_only=True)
class _Record:
    debt: float = 0.0
    at_s: float = 0.0
    bans: int = 0
    banned_until_s: float = 0.0

    def debt_at(self, now_s: float) -> float:
        """Debt after what time has forgiven."""
        elapsed_s = max(0.0, now_s - self.at_s)
        return float(self.debt * 0.5 ** (elapsed_s / HALF_LIFE_S))


class ScoreTable:
    """Scores and bans by peer identity; survives disconnection, not a restart."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def score(self, peer: str, now_s: float) -> float:
        """0 is neutral, negative is blamed."""
        record = self._records.get(peer)
        return 0.0 if record is None else -record.debt_at(now_s)

    def blame(self, peer: str, reason: Misbehaviour, now_s: float, *, severe: bool = False) -> bool:
        """Record a misbehaviour; True if the peer is now banned and must be disconnected."""
        record = self._records.pop(peer, None) or _Record()
        self._records[peer] = record
        while len(self._records) > RECORDS_MAX:
            del self._records[next(iter(self._records))]
        cost = -SCORE_MIN if severe else COSTS[reason]
        record.debt = record.debt_at(now_s) + cost
        record.at_s = now_s
        if record.debt < -SCORE_MIN:
            return False
        if now_s - record.banned_until_s > BAN_MEMORY_S:
            record.bans = 0
        record.bans += 1
        record.banned_until_s = now_s + min(BAN_MAX_S, BAN_S * 2.0 ** (record.bans - 1))
        record.debt = 0.0
        return True

    def is_banned(self, peer: str, now_s: float) -> bool:
        """Whether a connection with this peer must be refused."""
        record = self._records.get(peer)
        return record is not None and now_s < record.banned_until_s
