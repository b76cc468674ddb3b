"""Which version of Faultline runs."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version; a checkout that is not installed has none of its own."""
    try:
        return metadata.version("faultline")
    except metadata.PackageNotFoundError:
        return "0+checkout"
