"""Room on the disk and in memory, read where the system keeps it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from node.runtime.resources import Resources, memory_limit_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/app/one\n", {"app/one/memory.max": "max\n", "app/memory.max": "4096\n"}, 4096),
        ("0::/app/one\n", {"app/one/memory.max": "max\n"}, MACHINE),
        ("0::/\n", {"memory.max": "8192\n"}, 8192),
        (
            "4:memory:/of/the/host\n0::/\n",
            {"memory/memory.limit_in_bytes": "12288\n"},
            12288,
        ),
        (
            "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x\n",
            {"memory/x/memory.limit_in_bytes": str(2**63 - 4096), "cpu/x/memory.max": "1"},
            MACHINE,
        ),
        ("", {}, MACHINE),
    ],
    ids=["above", "unlimited", "container", "version-1-container", "version-1-unlimited", "none"],
)
def test_the_tightest_memory_limit_counts(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int
) -> None:
    own = written(tmp_path / "own", groups)
    for name, text in files.items():
        written(tmp_path / "groups" / name, text)
    assert memory_limit_bytes(tmp_path / "groups", own) == limit


def test_a_system_without_control_groups_has_the_machine(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path / "nothing", tmp_path / "neither") == MACHINE


def test_the_store_and_its_disk_are_measured_once_they_exist(tmp_path: Path) -> None:
    store = tmp_path / "store"
    registry = CollectorRegistry()
    registry.register(Resources(store))
    assert registry.get_sample_value("faultline_storage_used_bytes") is None

    written(store / "one", "x" * 10)
    written(store / "deep" / "two", "x" * 5)
    disk = os.statvfs(store)
    assert registry.get_sample_value("faultline_storage_used_bytes") == 15
    assert (
        registry.get_sample_value("faultline_storage_capacity_bytes")
        == disk.f_blocks * disk.f_frsize
    )
    free = registry.get_sample_value("faultline_storage_free_bytes")
    assert free is not None
    assert 0 < free <= disk.f_blocks * disk.f_frsize
    assert registry.get_sample_value("faultline_runtime_memory_limit_bytes") is not None
