"""Rules of Prometheus, as data and as the file that it reads.

    Recording, Alert (recordings.py, alerts.py) -> rules_file -> prometheus/rules/faultline.yml

Deliberately absent: who is told of an alert; that is an Alertmanager's, and a devnet has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEADER: Final = (
    "# Written by `python -m deploy.monitoring` from recordings.py and alerts.py; change those.\n"
)


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    """Now: users notice, or money is at stake."""
    WARNING = "warning"
    """Today: it works, but not as it should."""
    INFO = "info"
    """When you wonder: something rare happened, and the network coped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A figure that is computed once for every rule and panel that shows it."""

    name: str
    """level:metric:operation, as Prometheus' users write it."""
    expression: str
    """PromQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What should not be, how one tells, and what one does."""

    name: str
    """In camel case."""
    expression: str
    """PromQL; gives a sample for everything that is wrong."""
    for_s: int
    """Seconds that it must stay so."""
    severity: Severity
    """How soon somebody should look."""
    summary: str
    """One line; may name labels and the value in Prometheus' template language."""
    meaning: str
    """What it says about the network."""
    runbook: str
    """What to do."""
    fault: str
    """What fires it on a devnet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated together, in their order."""

    name: str
    """Unique."""
    rules: Sequence[Recording | Alert]
    """In their order."""


def rules_file(groups: Sequence[Group]) -> str:
    """Write groups as Prometheus reads them: YAML, its strings quoted as in JSON."""
    lines = [HEADER + "groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", "    rules:"]
        for rule in group.rules:
            lines += _recording(rule) if isinstance(rule, Recording) else _alert(rule)
    return "\n".join(lines) + "\n"


def _recording(rule: Recording) -> list[str]:
    return [f"      - record: {rule.name}", *_expression(rule.expression)]


def _alert(rule: Alert) -> list[str]:
    annotations = {"summary": rule.summary, "description": rule.meaning, "runbook": rule.runbook}
    return [
        f"      - alert: {rule.name}",
        *_expression(rule.expression),
        f"        for: {rule.for_s}s",
        *_mapping("labels", {"severity": rule.severity}),
        *_mapping("annotations", annotations),
    ]


def _expression(expression: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in expression.splitlines())]


def _mapping(name: str, values: Mapping[str, str]) -> list[str]:
    quoted = (f"          {key}: {json.dumps(text)}" for key, text in values.items())
    return [f"        {name}:", *quoted]
