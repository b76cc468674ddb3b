"""What is recorded of an answer to a malformed request, and the recordings.

(status, body) -> outcome_of -> {status, answer} -> tests/vectors/malformed/geth.jsonl -> recorded
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from tests.kit.malformed_requests import Malformed

RECORDINGS: Final = Path(__file__).parents[1] / "vectors" / "malformed" / "geth-1.17.8.jsonl"
"""One line a request: its name, its body or the body's digest, HTTP status and answer of geth 1.17.8."""

SHOWN_CHARACTERS_MAX: Final = 400
"""Longer bodies are recorded by their digest, longer data by its length."""

Json = dict[str, object]
"""A decoded JSON object."""


def request_of(one: Malformed) -> Json:
    """A request as it is recorded; without what is usual."""
    digest = hashlib.sha256(one.body.encode()).hexdigest()
    is_short = len(one.body) <= SHOWN_CHARACTERS_MAX
    http = {"http": [one.http_method, one.content_type]} if one.name.startswith("http: ") else {}
    return {"name": one.name, **http, **({"body": one.body} if is_short else {"sha256": digest})}


def outcome_of(status: int, body: bytes) -> Json:
    """A response as it is recorded: of results only their kind, of errors all."""
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return {"status": status}
    try:
        decoded = json.loads(text)
    except ValueError:
        return {"status": status, "text": text[:SHOWN_CHARACTERS_MAX]}
    if not isinstance(decoded, list):
        return {"status": status, "answer": _summary(decoded)}
    answers = [_summary(one) for one in decoded]
    if len(answers) > 10:
        return {"status": status, "answers": len(answers), "first": answers[0], "last": answers[-1]}
    return {"status": status, "answer": answers}


def _summary(answer: object) -> object:
    if not isinstance(answer, dict):
        return answer
    error = answer.get("error")
    if isinstance(error, dict):
        data = error.get("data")
        shown: Json = {"id": answer.get("id"), "code": error["code"], "message": error["message"]}
        return shown if data is None else shown | {"data": _short(data)}
    result = answer.get("result")
    kind = "null" if result is None else type(result).__name__
    return {"id": answer.get("id"), "result": kind}


def _short(data: object) -> object:
    text = json.dumps(data)
    return data if len(text) <= SHOWN_CHARACTERS_MAX else f"{len(text)} characters"


def recorded() -> Mapping[str, Json]:
    """The recordings by name, each with `status` and what else `outcome_of` gives, and what `request_of` gave."""
    lines = RECORDINGS.read_text(encoding="utf-8").splitlines()
    found = [cast("Json", json.loads(line)) for line in lines]
    return {str(one["name"]): one for one in found}
