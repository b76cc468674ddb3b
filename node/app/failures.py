"""Why a process ends before it has begun."""

from __future__ import annotations


class SetupError(Exception):
    """The process cannot run as it is set up; the message says what to change."""
