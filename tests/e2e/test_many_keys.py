"""Devnets of their own for what cannot be healed, or needs other validators: slashed ones, and many keys in few processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.devnet import running_devnet, wait_for
from tests.e2e.test_processes import consensus, slashed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]


@pytest.mark.parametrize("fault", ["equivocate", "vote-equivocate"])
def test_equivocation_is_slashed(tmp_path: Path, fault: str) -> None:
    with running_devnet(tmp_path) as devnet:
        devnet.wait_for_final(1)
        devnet.rpc("devnet_break", fault, {}, validator=3)
        wait_for("the slashing to be on chain", lambda: len(slashed(devnet)) == 1)
        devnet.rpc("devnet_heal", validator=3)
        devnet.wait_for_final(devnet.number() + 4)
        assert len(slashed(devnet)) == 1


def test_many_keys_in_few_processes(tmp_path: Path) -> None:
    with running_devnet(tmp_path, "--validators", "64") as devnet:
        devnet.wait_for_final(4)
        validators = consensus(devnet)["validators"]
        assert isinstance(validators, list)
        assert len(validators) == 64

        def lag_slots() -> float:
            head = devnet.rpc("eth_getBlockByNumber", "latest", False)
            final = devnet.rpc("eth_getBlockByNumber", "finalized", False)
            assert isinstance(head, dict)
            assert isinstance(final, dict)
            return (int(head["timestamp"], 16) - int(final["timestamp"], 16)) / 2

        wait_for("finality as close as with four validators", lambda: lag_slots() <= 4)
