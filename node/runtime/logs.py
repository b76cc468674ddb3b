"""Structured logs: one JSON object a line in files and containers, coloured text on a terminal.

Events are past-tense names (`block_imported`) with fields; nothing secret is ever a field.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import orjson
import structlog

LogFormat = Literal["json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[LogLevel, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _hex_bytes(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show byte fields as 0x hex, the way users paste them."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = "0x" + value.hex()
    return event


def _to_json(event: structlog.typing.EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logs(
    *,
    process: str,
    log_format: LogFormat = "json",
    level: LogLevel = "info",
    stream: TextIO | None = None,
) -> None:
    """Set up structlog, and the standard library's logging for libraries, for this process.

    Every line carries the process's name, a UTC timestamp (ISO 8601) and a level.
    """
    output = stream if stream is not None else sys.stdout
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=output.isatty())
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hex_bytes,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryLogs()], force=True)


class _LibraryLogs(logging.Handler):
    """Passes warnings of libraries on as structured events."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, "library_warned", library=record.name, message=record.getMessage()
        )
