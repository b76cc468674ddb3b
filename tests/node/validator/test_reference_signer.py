"""The signer's rules beside the reference model's, vote by vote; skipped where the model is not there."""

# The model has no types of its own.
# mypy: disable-error-code="explicit-any"

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from node.consensus.containers import Checkpoint, VoteData
from node.eth.primitives import Epoch, Hash32, Slot
from node.validator.protection_rules import (
    Permission,
    SigningRecord,
    after_block,
    after_vote,
    head_only,
    judge_block,
    judge_vote,
)

MODEL = Path(__file__).parents[4] / "shared" / "reference" / "consensus-model" / "slotffg.py"


def block_hash(name: str) -> Hash32:
    return Hash32(name.encode().ljust(32, b"."))


def checkpoint(epoch: int, name: str) -> Checkpoint:
    return Checkpoint(epoch=Epoch(epoch), block_hash=block_hash(name))


@pytest.fixture(scope="module")
def model() -> ModuleType:
    if not MODEL.exists():
        pytest.skip(f"the reference model is not at {MODEL}")
    spec = importlib.util.spec_from_file_location("reference_slotffg", MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


checkpoints = st.tuples(st.integers(0, 5), st.sampled_from("ab"))
links = st.none() | st.tuples(checkpoints, checkpoints).filter(lambda link: link[0][0] < link[1][0])
duties = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.integers(0, 12)),
        st.tuples(st.just("vote"), st.integers(0, 12), st.sampled_from("hij"), links),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(duties=duties)
def test_both_sign_the_same(model: ModuleType, duties: list[Any]) -> None:
    theirs = model.Signer()
    ours = SigningRecord()
    for kind, slot, *rest in duties:
        if kind == "block":
            allowed = judge_block(ours, slot)
            assert allowed is theirs.sign_block(slot)
            ours = after_block(ours, slot) if allowed else ours
            continue
        head, link = rest
        source, target = (None, None) if link is None else link
        signed = theirs.sign(
            model.Vote(0, slot, head, source and model.Cp(*source), target and model.Cp(*target))
        )
        data = VoteData(
            slot=Slot(slot),
            head_hash=block_hash(head),
            source=source and checkpoint(*source),
            target=target and checkpoint(*target),
        )
        permission = judge_vote(ours, data)
        if signed is None:
            assert permission in (Permission.REFUSE, Permission.RESEND)
            continue
        expected = (
            Permission.SIGN if (signed.tgt is None) == (link is None) else Permission.HEAD_ONLY
        )
        assert permission is expected
        done = data if permission is Permission.SIGN else head_only(data)
        ours = after_vote(ours, done, b"s" * 64)
