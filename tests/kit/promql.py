"""What a PromQL expression reads: its metrics with their matchers, and the labels that it groups and joins by.

A reader for tests, not a parser: it knows words, strings, braces and the clauses that take labels, and nothing of precedence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r'\s+|"(?:\\.|[^"\\])*"|[a-zA-Z_:][a-zA-Z0-9_:]*|\d[\w.]*|=~|!~|!=|>=|<=|==|.', re.DOTALL
)
_CLAUSES: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan"}) | _CLAUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """A condition on one label."""

    label: str
    """Its name."""
    operator: str
    """=, !=, =~ or !~"""
    value: str
    """What it is compared with."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a sample with these labels is meant."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        return (re.fullmatch(self.value, found) is not None) == (self.operator == "=~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A metric that is read."""

    metric: str
    """Its name."""
    matchers: tuple[Matcher, ...]
    """Which of its samples."""

    def meets(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a sample is among those that are read."""
        return name == self.metric and all(one.holds(labels) for one in self.matchers)


def selectors(expression: str) -> list[Selector]:
    """Every metric that an expression reads."""
    tokens = _tokens(expression)
    found: list[Selector] = []
    at = 0
    while at < len(tokens):
        token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in _CLAUSES and after == "(":
            at = tokens.index(")", at) + 1
            continue
        at += 1
        if (
            token in _WORDS
            or not re.match(r"[a-zA-Z_:]", token)
            or after == "("
            or after in _CLAUSES
        ):
            continue
        if after != "{":
            found.append(Selector(metric=token, matchers=()))
            continue
        end = tokens.index("}", at)
        found.append(Selector(metric=token, matchers=_matchers(tokens[at + 1 : end])))
        at = end + 1
    return found


def labels_named(expression: str) -> set[str]:
    """Every label that an expression groups or joins by."""
    tokens = _tokens(expression)
    found: set[str] = set()
    for at, token in enumerate(tokens[:-1]):
        if token in _CLAUSES and tokens[at + 1] == "(":
            found |= set(tokens[at + 2 : tokens.index(")", at)]) - {","}
    return found


def _tokens(expression: str) -> list[str]:
    return [token for token in _TOKEN.findall(expression) if not token.isspace()]


def _matchers(tokens: list[str]) -> tuple[Matcher, ...]:
    """Matchers between braces: label, operator, string, comma."""
    assert len(tokens) % 4 in (0, 3), tokens
    return tuple(
        Matcher(label=label, operator=operator, value=value[1:-1].replace("\\\\", "\\"))
        for label, operator, value in (tokens[at : at + 3] for at in range(0, len(tokens), 4))
    )
