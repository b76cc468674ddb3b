"""Every alert fires under the fault that is meant for it, and clears after healing; every panel shows something.

Needs a Prometheus, in PATH or named by PROMETHEUS; skips where there is none. What needs root skips without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.dashboards import DASHBOARDS
from tests.e2e import alert_faults as faults
from tests.e2e.devnet import FOLLOWERS, Devnet, RpcFailure, running_devnet, wait_for
from tests.e2e.prometheus import Prometheus, program, running_prometheus
from tests.e2e.test_strangers import garbage_over_libp2p, late_joiner

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("alerts"),
    pytest.mark.timeout(1_500),
    pytest.mark.skipif(program() is None, reason="no Prometheus in PATH"),
]

CRASHED: Final = -32603
"""Code of the answer to a call that raised what nobody foresaw."""

DISK_MB: Final = 800
"""Of the disk that is filled."""

FIRING_DEADLINE_S: Final = 240.0
"""A fault shows by then; machines are slow at times."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A devnet and who watches it."""

    devnet: Devnet
    prometheus: Prometheus
    own_disk: bool
    """Whether its data lies on a small disk of its own."""

    def pid(self, name: str) -> int:
        """The process id of a process."""
        processes = self.devnet.status()["processes"]
        assert isinstance(processes, list)
        return next(one["pid"] or 0 for one in processes if one["name"] == name)

    def key(self, name: str) -> Path:
        """A key file."""
        return self.devnet.data / "keys" / name


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alerts")
    with ExitStack() as closing:
        own_disk = closing.enter_context(small_disk(folder))
        devnet = closing.enter_context(running_devnet(folder, with_l2=True))
        wait_for("the first safe L2 block", lambda: devnet.l2_number("safe") > 0)
        prometheus = closing.enter_context(running_prometheus(devnet))
        yield Watched(devnet, prometheus, own_disk)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small disk on a folder, where that is allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    allowed = sys.platform == "linux" and os.geteuid() == 0
    mounted = allowed and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            # The last of the devnet may still be closing its files.
            unmount = partial(
                subprocess.run, ["umount", str(folder)], check=False, capture_output=True
            )
            wait_for("the disk to be let go", lambda: unmount().returncode == 0)


# -- faults, one for each alert or for some that belong together

Fault = Callable[[Watched], AbstractContextManager[None]]


def broken(*arguments: str) -> Fault:
    """A fault of `faultline break`."""

    @contextmanager
    def fault(watched: Watched) -> Iterator[None]:
        watched.devnet.faultline("break", *arguments)
        try:
            yield
        finally:
            watched.devnet.faultline("break", "heal")

    return fault


def split(*groups: str) -> Fault:
    """A partition; those who follow L1 are with the last group."""
    return broken(
        "partition", "groups=" + "/".join([*groups[:-1], ",".join((groups[-1], *FOLLOWERS))])
    )


@contextmanager
def stopped(watched: Watched, name: str) -> Iterator[None]:
    watched.devnet.faultline("processes", "stop", name)
    try:
        yield
    finally:
        watched.devnet.faultline("processes", "start", name)


@contextmanager
def restarted_twice(watched: Watched) -> Iterator[None]:
    restart_and_wait(watched)
    restart_and_wait(watched)
    yield


def restart_and_wait(watched: Watched) -> None:
    """Restart the watchtower, and wait until Prometheus has seen the new one."""
    before = watched.pid("watchtower")
    watched.devnet.faultline("processes", "restart", "watchtower")
    wait_for("another process", lambda: watched.pid("watchtower") != before)

    def is_seen() -> bool:
        try:
            started = watched.devnet.l2_metrics(replica=1)["process_start_time_seconds"]
        except OSError:
            return False  # It does not answer yet.
        seen = watched.prometheus.values('process_start_time_seconds{process="watchtower"}')
        return seen == [started]

    wait_for("a scrape of it", is_seen)


@contextmanager
def healed_partition(watched: Watched) -> Iterator[None]:
    """Two halves that grew six blocks each."""
    devnet = watched.devnet
    with split("validator-0,validator-1", "validator-2,validator-3")(watched):
        start = devnet.number()
        wait_for(
            "both halves to grow",
            lambda: min(devnet.number(), devnet.number(validator=3)) > start + 7,
        )
    yield


@contextmanager
def clock_put_back(watched: Watched) -> Iterator[None]:
    """A validator that signed twenty slots ahead of time, and starts again with the right clock."""
    devnet = watched.devnet
    before = votes_of(devnet, 2)
    with broken("clock-skew", "ms=40000", "--on", "validator-2")(watched):
        wait_for("votes of the future", lambda: votes_of(devnet, 2) > before + 4)
        devnet.faultline("processes", "restart", "validator-2")
    yield


def votes_of(devnet: Devnet, validator: int) -> float:
    """How many votes a process's validators cast."""
    samples = devnet.metrics(validator).items()
    names = ('outcome="done"', 'outcome="head_only"', 'outcome="downgraded"')
    wanted = 'faultline_validator_duties_total{duty="vote"'
    return sum(
        value
        for name, value in samples
        if name.startswith(wanted) and any(one in name for one in names)
    )


@contextmanager
def double_blocks(watched: Watched) -> Iterator[None]:
    """A sequencer that signs two blocks of one number, and transactions for it to do so with."""
    with (
        broken("equivocate-unsafe", "count=1000")(watched),
        faults.again_and_again(partial(faults.transfer_on_l2, watched.devnet)),
    ):
        yield


@contextmanager
def stranger(watched: Watched) -> Iterator[None]:
    trio.run(garbage_over_libp2p, watched.devnet)
    yield


@contextmanager
def process_fault(
    watched: Watched, fault: Callable[[int], AbstractContextManager[None]]
) -> Iterator[None]:
    with fault(watched.pid("validator-0")):
        yield


@contextmanager
def little_memory(watched: Watched) -> Iterator[None]:
    if faults.memory_groups() is None:
        pytest.skip("no control group can be made here")
    with process_fault(watched, faults.little_memory):
        yield


@contextmanager
def full_disk(watched: Watched) -> Iterator[None]:
    if not watched.own_disk:
        pytest.skip("no disk of our own: it takes root to mount one")
    with faults.full_disk(watched.devnet.data):
        yield


@contextmanager
def changed_row(watched: Watched) -> Iterator[None]:
    """A bridge whose index somebody changed; it makes another when that one is gone."""
    devnet = watched.devnet
    index = devnet.data / "bridge/bridge/withdrawals.sqlite"
    with stopped(watched, "bridge"):
        name = faults.change_a_row(index)
    wait_for("the bridge to meet it", lambda: meets_a_bug(devnet, name))
    yield
    with stopped(watched, "bridge"):
        index.unlink()


def meets_a_bug(devnet: Devnet, withdrawal: str) -> bool:
    """Whether the bridge answers a question for a withdrawal with what nobody foresaw; not before it serves."""
    try:
        devnet.l2_rpc("rollup_withdrawal", withdrawal, replica=0)
    except OSError:
        return False
    except RpcFailure as refusal:
        return refusal.code == CRASHED
    return False


@contextmanager
def withheld_blobs(watched: Watched) -> Iterator[None]:
    """A proposer that keeps blobs to itself."""
    with broken("withhold-blobs", "--on", "validator-2")(watched):
        faults.send_blob(watched.devnet, validator=2)
        yield


@contextmanager
def no_targets(watched: Watched) -> Iterator[None]:
    with faults.moved_away(watched.devnet.data / "monitoring/prometheus/targets/devnet.json"):
        yield


def called(call: Callable[[Devnet], None]) -> Fault:
    """A tool that calls again and again."""

    @contextmanager
    def fault(watched: Watched) -> Iterator[None]:
        with faults.again_and_again(partial(call, watched.devnet)):
            yield

    return fault


def together(*several: Fault) -> Fault:
    """Faults that do not disturb each other, side by side."""

    @contextmanager
    def fault(watched: Watched) -> Iterator[None]:
        with ExitStack() as lasting:
            for one in several:
                lasting.enter_context(one(watched))
            yield

    return fault


@contextmanager
def poor_proposer(watched: Watched) -> Iterator[None]:
    """An account that is emptied whenever a bond comes back."""
    stage, key = faults.stage_for(watched.devnet), watched.key("bridge.proposer")
    try:
        with faults.again_and_again(partial(faults.drain, stage, key)):
            yield
    finally:
        faults.refill(stage, key, 2_000 * faults.ETHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault, and the alerts that it is for."""

    alerts: frozenset[str]
    """All of them fire while it lasts, and clear after it."""
    fault: Fault
    """It."""


def case(name: str, *alerts: str, fault: Fault) -> object:
    return pytest.param(Case(alerts=frozenset(alerts), fault=fault), id=name)


MANY_SLOTS: Final = "slots=1000"
CASES: Final = (
    case("targets", "NothingToScrape", fault=no_targets),
    case("stopped", "ProcessDown", fault=partial(stopped, name="validator-1")),
    case("restarts", "ProcessRestarts", fault=restarted_twice),
    case("stutter", "LoopLate", fault=partial(process_fault, fault=faults.stuttering)),
    case("files", "OpenFilesNearLimit", fault=partial(process_fault, fault=faults.few_open_files)),
    case("memory", "MemoryNearLimit", fault=little_memory),
    case("disk", "DiskNearlyFull", fault=full_disk),
    case(
        "callers",
        "InternalError",
        "PeerMisbehaved",
        "RpcErrors",
        "RpcSlow",
        fault=together(changed_row, stranger, called(faults.nonsense), called(faults.endless)),
    ),
    case(
        "halves",
        "FinalityStalled",
        "PeersLost",
        "ParticipationLow",
        fault=split("validator-0,validator-1", "validator-2,validator-3"),
    ),
    case("reorganisation", "DeepReorganisation", fault=healed_partition),
    case(
        "alone",
        "ChallengerBehind",
        "NodeBehind",
        fault=broken(
            "partition",
            "groups=validator-3/watchtower/validator-0,validator-1,validator-2,sequencer,bridge",
        ),
    ),
    case("no-blocks", "HeadStalled", fault=broken("miss-slots", "count=1000", "--on", "all")),
    case(
        "no-votes",
        "ParticipationLow",
        fault=broken("withhold-votes", MANY_SLOTS, "--on", "validator-2", "--on", "validator-3"),
    ),
    case("blobs", "BlobsWithheld", fault=withheld_blobs),
    case("skew", "SignerRefused", fault=clock_put_back),
    case("no-sealing", "SequencerStalled", fault=broken("sequencer-stop")),
    case("no-posting", "BatcherBehind", "SafeHeadStuck", fault=broken("batcher-stall")),
    case("forced", "BlocksForced", fault=partial(stopped, name="sequencer")),
    case("garbage", "UnsafeBlocksDropped", fault=broken("garbage-batch", "count=1000")),
    case("two-blocks", "SequencerEquivocated", fault=double_blocks),
    case(
        "poor-and-slashed",
        "AccountLow",
        "ClaimsStalled",
        "ValidatorMisbehaved",
        fault=together(broken("equivocate", "--on", "validator-3"), poor_proposer),
    ),
)

LIE_ALERTS: Final = (
    "AccountLow",
    "FalseGameUnresolved",
    "FaultProofStuck",
    "LieStands",
    "LockedBelowSupply",
)
"""Of the last story, in its order."""

CONTRADICTED: Final = "ConflictingFinality"
"""Ends a devnet for good, so it has one of its own."""


def test_every_alert_has_a_fault() -> None:
    tried = {alert for one in CASES for alert in one.values[0].alerts}  # type: ignore[attr-defined]
    assert tried | {*LIE_ALERTS, CONTRADICTED} == {alert.name for alert in ALERTS}


def test_every_panel_shows_something_on_a_healthy_devnet(watched: Watched) -> None:
    devnet, prometheus = watched.devnet, watched.prometheus
    devnet.faultline("deposit", "1")
    devnet.faultline("withdraw", "0.1")
    for validator in range(4):
        devnet.rpc("eth_chainId", validator=validator)
    for replica in (None, 0, 1):
        devnet.l2_rpc("eth_chainId", replica=replica)
    empty: list[str] = ["not asked yet"]

    def all_show() -> bool:
        empty[:] = [
            f"{page.uid}: {panel.title}: {query.expression}"
            for page in DASHBOARDS
            for row in page.rows
            for panel in row.panels
            for query in panel.queries
            if not prometheus.values(query.expression.replace("$process", page.processes))
        ]
        return not empty

    try:
        wait_for("every panel to show something", all_show, 60.0)
    except AssertionError:
        raise AssertionError("\n".join(empty)) from None
    assert prometheus.rule_errors() == []


@pytest.mark.parametrize("one", CASES)
def test_an_alert_fires_under_its_fault_and_clears_after_it(
    watched: Watched, one: Case, record_property: Callable[[str, object], None]
) -> None:
    wait_for("quiet", lambda: not one.alerts & watched.prometheus.firing().keys())
    started = time.monotonic()
    with one.fault(watched):
        for alert in sorted(one.alerts):
            wait_firing(watched, alert)
            tell(record_property, f"{alert} fired", started)
    started = time.monotonic()
    for alert in sorted(one.alerts):
        wait_cleared(watched, alert)
        tell(record_property, f"{alert} cleared", started)
    assert "InternalError" not in watched.prometheus.firing(), "this fault meets a bug of ours"


def test_a_lie_that_nobody_can_afford_to_disprove(
    watched: Watched, record_property: Callable[[str, object], None]
) -> None:
    """The challenger's account is emptied; a thief is paid; every alert of the bridge says so, and clears when it is mended."""
    stage, key = faults.stage_for(watched.devnet), watched.key("watchtower.challenger")
    started = time.monotonic()
    wait_for("the challenger to have nothing", partial(faults.drain, stage, key))
    wait_firing(watched, "AccountLow")
    tell(record_property, "AccountLow fired", started)
    thief, told, claimed = faults.tell_lie(stage)
    for alert in ("FalseGameUnresolved", "FaultProofStuck"):
        wait_firing(watched, alert)
        tell(record_property, f"{alert} fired", started)
    faults.resolve_by_copy(stage, thief, claimed)
    wait_firing(watched, "LieStands")
    tell(record_property, "LieStands fired", started)
    faults.take_the_money(stage, thief, told)
    wait_firing(watched, "LockedBelowSupply")
    tell(record_property, "LockedBelowSupply fired", started)

    faults.refill(stage, key, 100 * faults.ETHER)
    faults.give_back(stage, told.theft.withdrawal.value)
    watched.devnet.faultline("processes", "restart", "watchtower")
    started = time.monotonic()
    for alert in LIE_ALERTS:
        wait_cleared(watched, alert)
        tell(record_property, f"{alert} cleared", started)
    assert "InternalError" not in watched.prometheus.firing(), "a lie meets a bug of ours"


def test_half_of_the_weight_signs_on_both_sides_of_a_partition(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Both sides finalize; once they meet everybody says so; a devnet that is made anew is quiet."""
    left, right = ("validator-0", "validator-1"), ("validator-2", "validator-3")
    with running_devnet(tmp_path) as devnet, running_prometheus(devnet) as prometheus:
        watched = Watched(devnet, prometheus, own_disk=False)
        # A signer without its history waits; a copy of the whole folder has one.
        for name in ("validator-1", "validator-2"):
            with stopped(watched, name):
                shutil.copytree(devnet.data / name, tmp_path / name / "data")
        start = devnet.number()
        devnet.faultline("break", "partition", f"groups={','.join(left)}/{','.join(right)}")
        with ExitStack() as doubles:
            for index, (name, side) in enumerate((("validator-1", right), ("validator-2", left))):
                keys = devnet.data / "keys" / f"{name}.json"
                double = late_joiner(devnet, tmp_path / name, devnet.offset - index, keys, side)
                doubles.enter_context(double)
            wait_for(
                "both sides to finalize",
                lambda: all(devnet.has_finalized(start + 2, index) for index in (0, 3)),
            )
            started = time.monotonic()
            devnet.faultline("break", "heal")
            wait_for(
                f"{CONTRADICTED} of everybody",
                lambda: prometheus.firing().get(CONTRADICTED) == {*left, *right},
                FIRING_DEADLINE_S,
            )
            tell(record_property, f"{CONTRADICTED} fired", started)
        started = time.monotonic()
        devnet.down()
        devnet.faultline("up", "--detach", "--quiet", "--fresh")
        wait_cleared(watched, CONTRADICTED)
        tell(record_property, f"{CONTRADICTED} cleared", started)


def wait_firing(watched: Watched, alert: str) -> None:
    wait_for(f"{alert} to fire", lambda: alert in watched.prometheus.firing(), FIRING_DEADLINE_S)


def wait_cleared(watched: Watched, alert: str) -> None:
    wait_for(
        f"{alert} to clear", lambda: alert not in watched.prometheus.firing(), FIRING_DEADLINE_S
    )


def tell(record_property: Callable[[str, object], None], what: str, started: float) -> None:
    """Say how long something took: printed with -s, and kept in a JUnit report."""
    took_s = round(time.monotonic() - started, 1)
    record_property(what, took_s)
    sys.stderr.write(f"{what} after {took_s} s\n")
