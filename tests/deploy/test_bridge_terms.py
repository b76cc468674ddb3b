"""What the bridge's contracts are made with, from seconds to blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.config import OPEN_GAMES_MAX
from deploy.bridge_terms import OPEN_GAMES_SLACK, BridgeTerms, bridge_terms, open_games
from deploy.manifest import Manifest, Setting, resolve


def manifest_of(**values: int | str) -> Manifest:
    settings = []
    for name, value in values.items():
        section, _, key = name.partition("__")
        settings.append(Setting(section=section, key=key, value=value, origin="test"))
    return resolve(settings).manifest


def test_the_default_devnet_settles_within_half_a_minute() -> None:
    assert bridge_terms(Manifest()) == BridgeTerms(
        window_blocks=6, quiet_blocks=3, air_gap_blocks=2, bond_wei=10**18, proof_maturity_s=26
    )


@pytest.mark.parametrize(("seconds", "blocks"), [(12, 4), (13, 5), (15, 5)])
def test_a_window_is_never_shorter_than_said(seconds: int, blocks: int) -> None:
    manifest = manifest_of(network__slot_seconds=3, bridge__challenge_window_s=seconds)
    assert bridge_terms(manifest).window_blocks == blocks


def test_an_air_gap_and_a_quiet_time_may_be_nothing() -> None:
    terms = bridge_terms(manifest_of(bridge__air_gap_s=0, bridge__quiet_s=0))
    assert (terms.air_gap_blocks, terms.quiet_blocks) == (0, 0)
    assert terms.proof_maturity_s == 22


def test_profile_realistic_counts_seven_days() -> None:
    terms = bridge_terms(manifest_of(network__profile="realistic"))
    assert terms.window_blocks == 7 * 86_400 // 12
    assert terms.air_gap_blocks == 302_400 // 12
    assert terms.proof_maturity_s > 7 * 86_400 + 302_400


def test_a_proposer_of_profile_realistic_never_waits_for_its_games() -> None:
    manifest = manifest_of(network__profile="realistic")
    # 7 days, 2 epochs of 32 slots, an hour and 3.5 days, at a game each hour
    life_s = 604_800 + 2 * 32 * 12 + 3_600 + 302_400
    assert life_s / 3_600 < 254
    assert open_games(manifest) == 254 + OPEN_GAMES_SLACK


@given(
    slot_seconds=st.integers(1, 60),
    window_s=st.integers(180, 4_000_000),
    quiet_s=st.integers(0, 4_000_000),
    air_gap_s=st.integers(0, 4_000_000),
    interval_s=st.integers(1, 86_400),
)
def test_games_in_their_windows_leave_room_for_one_more_within_bounds(
    slot_seconds: int, window_s: int, quiet_s: int, air_gap_s: int, interval_s: int
) -> None:
    manifest = manifest_of(
        network__slot_seconds=slot_seconds,
        bridge__challenge_window_s=window_s,
        bridge__quiet_s=quiet_s,
        bridge__air_gap_s=air_gap_s,
        bridge__output_interval_s=interval_s,
    )
    life_s = window_s + quiet_s + air_gap_s
    assert OPEN_GAMES_SLACK < open_games(manifest) <= OPEN_GAMES_MAX
    if open_games(manifest) < OPEN_GAMES_MAX:
        assert open_games(manifest) * interval_s > life_s
