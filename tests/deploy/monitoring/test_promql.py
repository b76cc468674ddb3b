"""The reader of expressions that other tests rest on."""

from __future__ import annotations

import pytest

from tests.kit.promql import Matcher, Selector, labels_named, selectors


def selected(metric: str, *matchers: tuple[str, str, str]) -> Selector:
    return Selector(
        metric=metric,
        matchers=tuple(
            Matcher(label=label, operator=operator, value=value)
            for label, operator, value in matchers
        ),
    )


@pytest.mark.parametrize(
    ("expression", "found", "labels"),
    [
        ("a", [selected("a")], set()),
        ("a - b offset 40s >= 3", [selected("a"), selected("b")], set()),
        (
            'sum by (x, le) (rate(a{b="c",d=~"e|f"}[1m])) > 5e18',
            [selected("a", ("b", "=", "c"), ("d", "=~", "e|f"))],
            {"x", "le"},
        ),
        (
            "max(a) - on () group_right () b{c!='d'}".replace("'", '"'),
            [selected("a"), selected("b", ("c", "!=", "d"))],
            set(),
        ),
        (
            'level:a:b / (c > 0) and ignoring (le) absent(d{job="x"}) or vector(0)',
            [selected("level:a:b"), selected("c"), selected("d", ("job", "=", "x"))],
            {"le"},
        ),
        ("histogram_quantile(0.99, sum by (le) (a))", [selected("a")], {"le"}),
    ],
)
def test_what_an_expression_reads(expression: str, found: list[Selector], labels: set[str]) -> None:
    assert selectors(expression) == found
    assert labels_named(expression) == labels


def test_a_selector_meets_what_its_matchers_allow() -> None:
    one = selected("a", ("x", "=~", "p|q"), ("y", "!=", "z"))
    assert one.meets("a", {"x": "q"})
    assert one.meets("a", {"x": "p", "y": "other"})
    assert not one.meets("b", {"x": "q"})
    assert not one.meets("a", {"x": "pq"})
    assert not one.meets("a", {"x": "p", "y": "z"})
    assert not one.meets("a", {})
