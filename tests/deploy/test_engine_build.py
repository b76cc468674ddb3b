"""When the engine is built, and where its compiled parts go."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from deploy import engine_build


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "lib.rs").write_text("fn one() {}")
    (tmp_path / "Cargo.lock").write_text("")
    return tmp_path


def test_a_changed_added_or_renamed_source_changes_the_fingerprint(crate: Path) -> None:
    fingerprints = [engine_build.fingerprint_of(crate, "rustc 1")]
    (crate / "src" / "lib.rs").write_text("fn two() {}")
    fingerprints.append(engine_build.fingerprint_of(crate, "rustc 1"))
    (crate / "src" / "more.rs").write_text("")
    fingerprints.append(engine_build.fingerprint_of(crate, "rustc 1"))
    (crate / "src" / "more.rs").rename(crate / "src" / "other.rs")
    fingerprints.append(engine_build.fingerprint_of(crate, "rustc 1"))
    fingerprints.append(engine_build.fingerprint_of(crate, "rustc 2"))
    assert len(set(fingerprints)) == 5


def test_what_an_install_copies_counts_as_well(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "repository" / "deploy" / "wheel" / "purelib"
    (beside / "__pycache__").mkdir(parents=True)
    (tmp_path / "repository" / "pyproject.toml").touch()
    monkeypatch.setattr(engine_build, "REPOSITORY", tmp_path / "repository")
    crate = crate / "src"
    before = engine_build.fingerprint_of(crate, "rustc 1")
    (beside / "__pycache__" / "one.pyc").touch()
    assert engine_build.fingerprint_of(crate, "rustc 1") == before
    (beside / "one.py").touch()
    assert engine_build.fingerprint_of(crate, "rustc 1") != before


def test_compiled_parts_do_not_count(crate: Path) -> None:
    before = engine_build.fingerprint_of(crate, "rustc 1")
    (crate / "target").mkdir()
    (crate / "target" / "part.o").write_text("compiled")
    assert engine_build.fingerprint_of(crate, "rustc 1") == before


def test_compiled_parts_lie_outside_the_checkout_by_lock_and_compiler() -> None:
    environment = {"XDG_CACHE_HOME": "/cache"}
    one = engine_build.target_folder(environment, b"lock", "rustc 1")
    assert one.parent == Path("/cache/faultline")
    assert one != engine_build.target_folder(environment, b"other", "rustc 1")
    assert one != engine_build.target_folder(environment, b"lock", "rustc 2")
    assert one == engine_build.target_folder(environment, b"lock", "rustc 1")


def test_a_missing_toolchain_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> dict[str, str]:
        raise OSError("no route to anywhere")

    monkeypatch.setattr("puccinialin.setup_rust", fail)
    environment = {"PATH": str(tmp_path), "CARGO_HOME": str(tmp_path)}
    assert engine_build.toolchain(environment) is None
    said = capfd.readouterr().err
    assert "Missing: a Rust toolchain" in said
    assert "no route to anywhere" in said


def test_the_crates_tests_link_this_python() -> None:
    environment = engine_build.linking({"LD_LIBRARY_PATH": "/elsewhere", "PATH": "/bin"})
    library, elsewhere = environment["LD_LIBRARY_PATH"].split(":")
    assert elsewhere == "/elsewhere"
    assert library == sysconfig.get_config_var("LIBDIR")
    assert (environment["PYO3_PYTHON"], environment["PATH"]) == (sys.executable, "/bin")
    assert engine_build.linking({})["LD_LIBRARY_PATH"] == library


def test_without_a_library_to_link_they_are_passed_over_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: 0)
    assert engine_build.test({}) == 0
    assert "Passed over: the crate's own tests" in capfd.readouterr().err


def test_a_fetched_toolchain_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("puccinialin.setup_rust", lambda: {"PATH": "/fetched/bin"})
    environment = {"PATH": str(tmp_path), "CARGO_HOME": str(tmp_path)}
    found = engine_build.toolchain(environment)
    assert found is not None
    assert found["PATH"] == "/fetched/bin"
