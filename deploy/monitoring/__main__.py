"""`python -m deploy.monitoring`: write the files of this folder that are made from its Python."""

from __future__ import annotations

from deploy.monitoring.generated import HERE, generated_files

if __name__ == "__main__":
    for name, content in generated_files().items():
        (HERE / name).write_bytes(content)
