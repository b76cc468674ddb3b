"""What can go wrong, graded by what the one who catches it may do.

Anything that is not one of these is a bug: it crashes the task loudly and the supervisor restarts the process.
"""

from __future__ import annotations

from enum import StrEnum


class Rejected(Exception):
    """Input that breaks a rule: drop it, blame the sender, count the reason."""

    def __init__(self, reason: StrEnum, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else str(reason))
        self.reason = reason
        """Which rule; one enum for each rule set."""
        self.message = message
        """What was found and what was wanted."""


class Temporary(Exception):
    """It may work later: retry with backoff."""


class Corruption(Exception):
    """What is stored is not what was written: stop before serving a wrong answer."""


class InvalidBlock(Exception):
    """A block that execution refuses; the fault of whoever made it."""

    def __init__(self, field: str, want: str = "", got: str = "") -> None:
        super().__init__(f"{field}: want {want}, got {got}" if want or got else field)
        self.field = field
        """Which header field or rule."""
        self.want = want
        """What it had to be."""
        self.got = got
        """What it is."""


class InvalidCall(Exception):
    """A call or transaction object that is refused before it runs."""

    def __init__(self, message: str, code: int = -32000) -> None:
        super().__init__(message)
        self.code = code
        """JSON-RPC error code."""


class MissingState(Exception):
    """The state of this root is not kept."""


class StorageError(Corruption):
    """The store on disk is damaged, or the disk fails."""
