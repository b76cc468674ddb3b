"""The cases behind the vectors of STEP: inputs, and the root or the refusal that every node answers.

    StepWorld (a small rollup) -> inputs, good ones and ones that prove nothing -> steps.json

Executing them takes the L2's genesis file, whose accounts stand in it; what is refused before execution needs none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.errors import Rejected
from node.eth.hashing import sha256
from node.eth.primitives import BlockNumber
from node.rollup.records import RecordKind
from node.rollup.step import StepInput
from tests.kit.execution_chain import KEEPER, word
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import FAUCET, sign_l2
from tests.kit.step_world import PARAMETERS, Around, StepWorld
from tests.vectors.rollup.cases import Json, hexed

STAKING: Final = (b"\x00" + bytes(192), b"\x01" + bytes(76))
"""What an L1 block asks consensus."""


def cases() -> dict[str, bytes]:
    """Every input by what it shows; all on one parent."""
    world = StepWorld.open()
    store = sign_l2(nonce=0, to=KEEPER, data=word(1) + word(2), gas=100_000)
    logs = [portal_log(3, sender=FAUCET, to=KEEPER, mint=7, data=word(3) + word(9))]
    around = Around(place=3, advances_before=2, blocks_after=4)
    forced = Around(kind=RecordKind.EMPTY, place=2, advances_before=2)
    everything = world.make([store], logs=logs, others=STAKING, around=around).given
    answered = {
        "everything": everything,
        "nothing": world.make((), advances=False).given,
        "forced": world.make((), logs=logs, around=forced).given,
        "not_executable": world.make([store[:-1]], logs=logs).given,
        "garbage": world.make((), advances=False, around=Around(batch=b"\x03garbage")).given,
        "no_requests": world.make(()).given,
        "only_consensus_asked": world.make((), others=STAKING).given,
        "marker": world.make((), logs=[b"\x80"], others=STAKING).given,
        "reordered": replace(
            everything, nodes=(b"foreign", *everything.nodes[::-1], *everything.nodes)
        ),
    }
    encoded = {name: given.encode() for name, given in (answered | refused(everything)).items()}
    whole = encoded["everything"]
    return encoded | {"cut_off": whole[:-1], "trailing": whole + b"\0", "words": whole[:320]}


def refused(good: StepInput) -> dict[str, StepInput]:
    """Inputs of the right form that prove nothing."""
    hidden = good.other_digests + sha256(good.last_request)
    return {
        "other_rules": replace(good, config_hash=good.pre_root),
        "other_pre_root": replace(good, pre_root=good.config_hash),
        "impossible_record": replace(good, record=replace(good.record, block_count=513)),
        "block_outside": replace(good, number=BlockNumber(good.number + 5)),
        "block_after": replace(good, number=BlockNumber(good.number + 1)),
        "other_batch": replace(good, batch=b""),
        "origins_reordered": replace(
            good, origin_hashes=good.origin_hashes[32:] + good.origin_hashes[:32]
        ),
        "other_origin": replace(good, origin_header=good.parent_header),
        "deposits_behind_a_digest": replace(good, last_request=b"", other_digests=hidden),
        "node_missing": replace(good, nodes=good.nodes[1:]),
        "code_missing": replace(good, codes=good.codes[1:]),
    }


def steps_document() -> dict[str, Json]:
    """The vector file."""
    world = StepWorld.open()
    found: list[Json] = []
    for name, data in cases().items():
        then: dict[str, Json]
        try:
            then = {"root": hexed(world.ask(data))}
        except Rejected as error:
            then = {"refusal": str(error)}
        found.append({"name": name, "input": hexed(data), **then})
    return {
        "summary": "STEP's inputs, and what every node answers",
        "given": {"config_hash": hexed(PARAMETERS.config_hash())},
        "then": found,
    }
