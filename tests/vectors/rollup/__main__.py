"""Writes the vectors of the L2's rules beside itself; see `cases`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vectors.rollup.cases import Json, documents


def written(document: dict[str, Json]) -> str:
    """The text of a vector file."""
    return json.dumps(document, indent=2) + "\n"


def main() -> None:
    """Write every file anew; remove what no case writes any more."""
    folder = Path(__file__).parent
    texts = {f"{name}.json": written(document) for name, document in documents()}
    for stale in {path.name for path in folder.glob("*.json")} - set(texts):
        (folder / stale).unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
