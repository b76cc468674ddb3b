"""Log lines as files and terminals get them."""

from __future__ import annotations

import io
import logging

import orjson
import structlog

from node.runtime.logs import configure_logs


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    configure_logs(process="validator-0", stream=stream)
    structlog.get_logger().info("block_imported", hash=b"\x12\x34", slot=7)
    line = orjson.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "block_imported",
        "hash": "0x1234",
        "slot": 7,
        "process": "validator-0",
        "level": "info",
    }


def test_levels_filter() -> None:
    stream = io.StringIO()
    configure_logs(process="validator-0", level="warning", stream=stream)
    structlog.get_logger().info("block_imported")
    assert stream.getvalue() == ""


def test_text_is_for_people() -> None:
    stream = io.StringIO()
    configure_logs(process="validator-0", log_format="text", stream=stream)
    structlog.get_logger().warning("peer_left", peer="12D3")
    assert "peer_left" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_warnings_of_libraries_become_events() -> None:
    stream = io.StringIO()
    configure_logs(process="validator-0", stream=stream)
    logging.getLogger("some.library").warning("disk is %s", "slow")
    line = orjson.loads(stream.getvalue())
    assert (line["event"], line["library"], line["message"]) == (
        "library_warned",
        "some.library",
        "disk is slow",
    )
