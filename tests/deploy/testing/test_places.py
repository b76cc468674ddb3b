"""Ranges of ports: nobody else's, and given back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.manifest import Manifest
from deploy.network import places
from deploy.sections import NetworkSection
from deploy.testing.places import PLACE_WIDTH, PLACES, NoFreePlace, take_place

EPHEMERAL_PORT = 32_768
"""The first port that Linux hands to clients."""


def anywhere(_: int) -> bool:
    return True


def ports(offset: int) -> set[int]:
    """Every port of the largest L1, the L2 and the bridge at an offset."""
    network = NetworkSection(validators=16, validator_processes=16, port_offset=offset)
    found = places(Manifest(network=network))
    return {port for one in found for port in (one.rpc_port, one.metrics_port, one.p2p_port)}


def test_two_devnets_never_share_a_port() -> None:
    seen = ports(0)
    for number in range(1, PLACES + 1):
        taken = ports(number * PLACE_WIDTH)
        assert not seen & taken
        assert max(taken) < EPHEMERAL_PORT
        seen |= taken


def test_each_takes_another_and_gives_it_back(tmp_path: Path) -> None:
    first, second = (take_place(anywhere, tmp_path) for _ in range(2))
    assert (first.port_offset, second.port_offset) == (PLACE_WIDTH, 2 * PLACE_WIDTH)
    first.release()
    third = take_place(anywhere, tmp_path)
    assert third.port_offset == PLACE_WIDTH
    second.release()
    third.release()


def test_ports_that_somebody_else_holds_are_passed_over(tmp_path: Path) -> None:
    place = take_place(lambda offset: offset > 3 * PLACE_WIDTH, tmp_path)
    assert place.port_offset == 4 * PLACE_WIDTH
    place.release()


def test_who_inherits_a_place_keeps_it(tmp_path: Path) -> None:
    place = take_place(anywhere, tmp_path)
    inherited = os.dup(place.descriptor)
    place.release()
    other = take_place(anywhere, tmp_path)
    assert other.port_offset == 2 * PLACE_WIDTH
    other.release()
    os.close(inherited)


def test_a_full_machine_is_said_to_be_full(tmp_path: Path) -> None:
    with pytest.raises(NoFreePlace, match=f"{PLACES} places were tried"):
        take_place(lambda _: False, tmp_path)
