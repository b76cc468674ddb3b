"""Writes the vectors of the L2's rules beside itself; see `cases` and `steps`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vectors.rollup.cases import Json, documents
from tests.vectors.rollup.steps import steps_document


def written(document: dict[str, Json]) -> str:
    """The text of a vector file."""
    return json.dumps(document, indent=2) + "\n"


def everything() -> dict[str, str]:
    """Name and text of every vector file."""
    found = dict(documents()) | {"steps": steps_document()}
    return {name: written(document) for name, document in found.items()}


def main() -> None:
    """Write every file anew; remove what no case writes any more."""
    folder = Path(__file__).parent
    texts = {f"{name}.json": text for name, text in everything().items()}
    for stale in {path.name for path in folder.glob("*.json")} - set(texts):
        (folder / stale).unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
