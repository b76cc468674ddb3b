"""What an installed project offers beside its packages: `import faultline`, and a plugin that pytest finds by itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import tomllib
from pathlib import Path

import pytest

from deploy.testing import library, plugin

REPOSITORY = Path(__file__).parents[3]


def test_what_is_imported_is_what_the_library_lists() -> None:
    shim = REPOSITORY / "deploy" / "wheel" / "purelib" / "faultline" / "__init__.py"
    spec = importlib.util.spec_from_file_location("faultline_of_the_sources", shim)
    assert spec is not None
    assert spec.loader is not None
    imported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported)
    assert imported.__all__ is library.__all__
    for name in library.__all__:
        assert getattr(imported, name) is getattr(library, name)


def test_an_installed_project_is_imported_by_its_name() -> None:
    try:
        importlib.metadata.distribution("faultline")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("this checkout is not installed: `make build` installs it")
    assert importlib.import_module("faultline").devnet is library.devnet
    [found] = [
        one for one in importlib.metadata.entry_points(group="pytest11") if one.name == "faultline"
    ]
    assert found.load() is plugin


def test_the_sources_say_so() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    entry = project["project"]["entry-points"]["pytest11"]["faultline"]
    assert entry == plugin.__name__
    assert (REPOSITORY / project["tool"]["maturin"]["data"] / "purelib" / "faultline").is_dir()
