"""What the checked-in vectors give, the rules make of it, block by block alone as well; and the script still writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.errors import Rejected
from node.eth.headers import decode_header
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.batches import content_of
from node.rollup.deposits import encode_deposit, read_log, user_deposits
from node.rollup.derivation import Origin, attributes_of, block_of, timestamp_of
from node.rollup.parameters import parse
from node.rollup.records import InboxTip, decode_record_log, origins_hash, tip_after
from tests.kit.rollup import l2_header, model_decode_batch
from tests.kit.second_step import second_step
from tests.kit.step_world import StepWorld
from tests.vectors.rollup import cases
from tests.vectors.rollup.__main__ import everything

FOLDER = Path(cases.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_the_script_writes_what_is_checked_in() -> None:
    assert everything() == {name: (FOLDER / f"{name}.json").read_text() for name in NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("record_")])
def test_a_record_gives_its_blocks(name: str) -> None:
    vector = json.loads((FOLDER / f"{name}.json").read_text())
    given, then = vector["given"], vector["then"]
    parameters = parse(given["parameters"])
    logged = decode_record_log(
        [bytes_of(topic) for topic in given["log"]["topics"]], bytes_of(given["log"]["data"])
    )
    assert logged is not None
    record = logged.record
    origins = [_origin(origin) for origin in given["origins"]]

    assert cases.hexed(parameters.config_hash()) == then["config_hash"]
    assert cases.fields_of(record) == then["record"]
    assert cases.hexed(logged.accumulator) == then["accumulator"]
    assert origins_hash([origin.hash for origin in origins]) == record.origins_hash
    assert tip_after(_tip(given["inbox"]), logged).accumulator == logged.accumulator

    content = content_of(parameters, record, logged.batch, model_decode_batch)
    timestamp = given["parent"]["timestamp"]
    for index, expected in enumerate(then["blocks"]):
        block = block_of(record, content, index)
        origin = origins[block.origin_number - record.previous_origin]
        attributes = attributes_of(
            parameters, l2_header(block.number - 1, timestamp), block, origin
        )
        assert cases.block_document(block.number, block.origin_number, attributes) == expected
        timestamp = attributes.timestamp
    assert len(then["blocks"]) == record.block_count


def _tip(document: dict[str, int | str]) -> InboxTip:
    return InboxTip(
        record_count=int(document["recordCount"]),
        next_block=BlockNumber(int(document["nextBlock"])),
        last_origin=BlockNumber(int(document["lastOrigin"])),
        accumulator=Hash32(bytes_of(str(document["accumulator"]))),
    )


def _origin(document: dict[str, str | list[str]]) -> Origin:
    header, requests = document["header"], document["requests"]
    assert isinstance(header, str)
    decoded = decode_header(bytes_of(header))
    return Origin(
        number=BlockNumber(decoded.number),
        hash=decoded.hash(),
        header=decoded,
        requests=tuple(bytes_of(request) for request in requests),
    )


def test_timestamps_are_clamped() -> None:
    vector = json.loads((FOLDER / "timestamps.json").read_text())
    drift = vector["given"]["max_drift_seconds"]
    for row in vector["then"]:
        claimed, parent, origin = (int(row[name]) for name in ("claimed", "parent", "origin"))
        assert timestamp_of(claimed, parent, origin, drift) == int(row["timestamp"])


def test_logs_become_deposits_or_are_skipped() -> None:
    vector = json.loads((FOLDER / "deposits.json").read_text())
    origin_hash = Hash32(bytes_of(vector["given"]["origin_hash"]))
    for log in vector["then"]["logs"]:
        read = read_log(origin_hash, bytes_of(log["item"]))
        found = None if read is None else cases.hexed(encode_deposit(read[1]))
        assert found == log["deposit"], log["name"]
        assert (found is None) == log["name"].endswith(": skipped")
    request = vector["then"]["request"]
    deposits = user_deposits(origin_hash, [bytes_of(request["data"])])
    assert [cases.hexed(encode_deposit(deposit)) for deposit in deposits] == request["deposits"]


def test_steps_are_answered_or_refused_by_name() -> None:
    """Given every input of the file, when stepped, then its root or its refusal is the file's; a second STEP agrees."""
    vector = json.loads((FOLDER / "steps.json").read_text())
    world = StepWorld.open()
    for one in vector["then"]:
        data = bytes_of(one["input"])
        second = second_step(world.parameters, world.chain.engine, data)
        if "root" in one:
            assert world.ask(data) == second == bytes_of(one["root"])
            continue
        with pytest.raises(Rejected) as refused:
            world.ask(data)
        assert (str(refused.value), second) == (one["refusal"], None)
