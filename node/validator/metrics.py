"""What the validators count, under names that dashboards rely on."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram


class Duty(StrEnum):
    """What is owed."""

    PROPOSE = "propose"
    VOTE = "vote"


class Outcome(StrEnum):
    """What became of a duty."""

    DONE = "done"
    HEAD_ONLY = "head_only"
    """A vote whose source and target were not asked for: the first slot of an epoch, or no weight."""
    DOWNGRADED = "downgraded"
    """A vote whose source and target the signer's database forbade."""
    RESENT = "resent"
    """A vote that had been signed before."""
    REFUSED = "refused"
    """The signer's database forbade it."""
    UNKNOWN = "unknown"
    """The head's registry does not have the key."""
    LATE = "late"
    """The moment had passed."""
    FAILED = "failed"
    """The engine or the chain refused."""
    RESTED = "rested"
    """Nothing is signed: syncing, or a safety fault."""
    WITHHELD = "withheld"
    """A fault made on purpose."""


class ValidatorMetrics:
    """One process's validators."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duties = Counter(
            "faultline_validator_duties_total",
            "Duties of this process's validators, by what became of them.",
            ["duty", "outcome"],
            registry=registry,
        )
        # From 0 on, so that the first refusal is an increase.
        for duty in Duty:
            for outcome in Outcome:
                self._duties.labels(duty=duty, outcome=outcome)
        self.proposed_seconds = Histogram(
            "faultline_validator_proposed_seconds",
            "Seconds from the start of a slot to the publication of an own block.",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
        )
        self.voted_seconds = Histogram(
            "faultline_validator_voted_seconds",
            "Seconds from the start of a slot to the publication of own votes.",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
        )
        self.build_seconds = Histogram(
            "faultline_validator_build_seconds",
            "Seconds to fill and seal an own block.",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8),
        )

    def count(self, duty: Duty, outcome: Outcome, number: int = 1) -> None:
        """A duty came to an end."""
        self._duties.labels(duty=duty, outcome=outcome).inc(number)
