"""Faultline as a library of tests, on real processes: what a test does with a devnet, and pytest's plugin."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from deploy.breaking import CannotBreak
from deploy.interpreting import SOURCES
from deploy.layout import Layout
from deploy.lock import is_running
from deploy.testing import library
from deploy.testing.devnet import CommandFailed, Devnet as Net, NotBroken, attach
from tests.e2e.devnet import FOLLOWERS, Devnet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GROUPS: Final = [["validator-0", "validator-1", *FOLLOWERS], ["validator-2", "validator-3"]]
"""Both halves of a split."""

ETHER: Final = 10**18

RUN_DEADLINE_S: Final = 600
"""Of a whole test run of somebody else."""


def test_money_crosses_both_ways(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    net = attach(devnet.data)
    depositor, receiver = "0x" + "5d" * 20, "0x" + "5e" * 20
    deposited = net.deposit(ETHER, to=depositor, sender=2)
    assert deposited.succeeded
    assert net.l2.balance(depositor) == ETHER
    assert net.l1.wait_for_receipt(deposited.l1_transaction)["status"] == "0x1"
    withdrawal = net.withdraw(3, to=receiver, sender=2)
    assert withdrawal.report()["state"] == "initiated"
    assert withdrawal.relay()["state"] == "settled"
    assert net.l1.balance(receiver) == 3
    assert net.l2.wait_until("finalized", deposited.l2_block) == deposited.l2_block


def test_other_programs_are_told_everything(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    net = attach(devnet.data)
    told = net.environment
    assert (told["L1_RPC_URL"], told["L2_RPC_URL"]) == (devnet.rpc_url(), devnet.l2_url())
    assert (told["L1_WS_URL"], told["L2_WS_URL"]) == (devnet.ws_url(), devnet.l2_ws_url())
    assert (told["L1_CHAIN_ID"], told["L2_CHAIN_ID"]) == ("900", "901")
    assert told["ACCOUNT_9_PRIVATE_KEY"] == net.accounts[9].private_key
    assert told["L1_PORTAL_ADDRESS"] == net.l1.contracts["portal"]
    assert devnet.rpc_url() in net.viem
    assert repr(net) == f"<Devnet on {devnet.data}, L1 at {devnet.rpc_url()}>"
    assert net.faultline("addresses", "--format", "env").splitlines()[0] in {
        f"{name}={value}" for name, value in told.items()
    }
    with pytest.raises(CommandFailed, match="nothing is called 'fire'"):
        net.attack("fire")


def test_a_partition_ends_with_its_block(devnet_to_break: Devnet) -> None:
    net = attach(devnet_to_break.data)
    with net.broken("partition", groups=GROUPS):
        assert "validator-0 is broken" in net.summary()
        final = net.l1.number("finalized")
        net.wait_for("the halves to grow apart", partial(have_grown_apart, net, final))
    assert "is broken" not in net.summary()
    net.l1.wait_until("finalized", at=list(net.l1.urls))
    with pytest.raises(CannotBreak, match="no_such_parameter"):
        net.break_("equivocate", on="validator-2", no_such_parameter=1)


def have_grown_apart(net: Net, final: int) -> bool:
    """Whether both halves hold a block of their own."""
    number = min(net.l1.number(at="validator-0"), net.l1.number(at="validator-2"))
    if number <= final:
        return False
    return net.l1.block(number, at="validator-0") != net.l1.block(number, at="validator-2")


def test_whatever_a_test_leaves_broken_recovers(devnet_to_break: Devnet) -> None:
    net = attach(devnet_to_break.data)
    sequencer = net.processes["sequencer"]
    restarts = sequencer.status()["restarts"]
    sequencer.kill()
    assert sequencer.pid is None
    assert not sequencer.is_ready()
    assert "sequencer is not ready" in net.summary()
    with pytest.raises(NotBroken, match=r"^sequencer: "):
        net.break_("delay", on=["validator-2", "sequencer"], ms=50)
    assert "is broken" not in net.summary(), "all of them or none"
    net.break_("delay", on="validator-1", ms=50)
    net.recover()
    assert net.summary() == f"logs: {net.data / 'logs'}"
    assert sequencer.status()["restarts"] == restarts
    assert sequencer.metrics()['faultline_chain_head_number{layer="l2"}'] > 0
    assert '"event"' in sequencer.log()

    # Who follows the chain again is ready only once it answers
    validator = net.processes["validator-1"]
    validator.stop()
    validator.start()
    assert validator.rpc("devnet_breaks") == []

    # Everything at once, also by who has not started it
    reached = net.l1.number()
    net.stop()
    assert "validator-0 is not ready" in net.summary()
    net.recover()
    assert net.l1.number() >= reached


def test_the_readmes_example_does_what_it_says(
    devnet_to_break: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given what its readers copy first, when it is run on a devnet that is there, then it passes."""
    text = (Path(library.__file__).parent / "README.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    net = attach(devnet_to_break.data)
    # The example's own receiver has its ether already where it ran before.
    receiver = f"0x{secrets.token_hex(20)}"
    assert '"0x" + "ab" * 20' in example
    offered = SimpleNamespace(devnet=lambda: nullcontext(net), ETHER=library.ETHER)
    monkeypatch.setitem(sys.modules, "faultline", offered)
    theirs: dict[str, Callable[[], None]] = {}
    exec(example.replace('"0x" + "ab" * 20', repr(receiver)), theirs)  # noqa: S102
    [test] = [one for name, one in theirs.items() if name.startswith("test_")]
    test()
    assert "is broken" not in net.summary()


RUN: Final = """
import os
import pytest

@pytest.mark.parametrize("place", range(4))
def test_of_many(faultline_devnet, place):
    block = faultline_devnet.l1.block(0)["hash"]
    print("used", os.getpid(), block, faultline_devnet.data)
    assert not faultline_devnet.has_l2
    faultline_devnet.l1.wait_until("finalized", 1)

def test_that_fails(faultline_breakable):
    faultline_breakable.processes["validator-1"].kill()
    raise AssertionError("as it should")
"""
"""Somebody else's tests."""


def test_workers_share_a_devnet_that_ends_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(RUN)
    (tmp_path / "faultline.toml").write_text("[l2]\nenabled = false\n")
    command = [sys.executable, "-m", "pytest", str(tmp_path), "-rP", "-n", "2", "--rootdir"]
    # Where the project is installed pytest finds the plugin by itself; here it is loaded from the sources either way.
    command += [str(tmp_path), "-p", "no:faultline", "-p", "deploy.testing.plugin"]
    command += ["--faultline-manifest", str(tmp_path / "faultline.toml")]
    command += ["--faultline-logs", str(tmp_path / "logs")]
    done = subprocess.run(
        command, cwd=SOURCES, capture_output=True, text=True, timeout=RUN_DEADLINE_S, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 4 passed" in done.stdout
    seen = re.findall(r"^used (\d+) (0x\w+) (\S+)$", done.stdout, re.MULTILINE)
    assert len(seen) == 4
    assert len({worker for worker, *_ in seen}) == 2
    [(_, data)] = {(block, data) for _, block, data in seen}
    assert f"logs: {data}/logs" in done.stdout
    assert "validator-1 is not ready" in done.stdout
    assert not is_running(Layout(Path(data)))
    assert not Path(data).exists()
    assert "supervisor.log" in {log.name for log in (tmp_path / "logs").iterdir()}
