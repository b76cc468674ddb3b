"""The `config` of genesis files: forks, blob schedules, and what is wrong with one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth.forks import BLOCK_FORKS, TIME_FORKS, BlobParameters, ConfigReason, read_chain_config

CANCUN = {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477}
PRAGUE = {"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716}
BPO1 = {"target": 10, "max": 15, "baseFeeUpdateFraction": 8_346_193}


def config(**changes: object) -> dict[str, object]:
    """A file with every block fork at 10 times its place, and times from 1,000 on."""
    found: dict[str, object] = {"chainId": 5}
    found |= {key: 10 * place for place, key in enumerate(BLOCK_FORKS)}
    found |= {key: 1_000 + 100 * place for place, key in enumerate(TIME_FORKS[:5])}
    found["blobSchedule"] = {"cancun": CANCUN, "prague": PRAGUE, "osaka": PRAGUE, "bpo1": BPO1}
    found |= changes
    return {"config": {key: value for key, value in found.items() if value is not None}}


def test_forks_begin_where_the_file_says() -> None:
    read = read_chain_config(config())
    assert read.chain_id == 5
    assert read.terminal_total_difficulty is None
    for number in (0, 9, 10, 69, 70, 1_000):
        active = [key for key in BLOCK_FORKS if read.is_active(key, number=number, timestamp=0)]
        assert active == [*BLOCK_FORKS][: number // 10 + 1]
    assert not read.is_active("shanghaiTime", number=10**9, timestamp=999)
    assert read.is_active("shanghaiTime", number=0, timestamp=1_000)
    assert not read.is_active("bpo2Time", number=10**9, timestamp=2**63)


@pytest.mark.parametrize(
    ("timestamp", "most"),
    [(0, None), (1_099, None), (1_100, 6), (1_200, 9), (1_399, 9), (1_400, 15), (2**64 - 1, 15)],
)
def test_blobs_follow_the_schedule(timestamp: int, most: int | None) -> None:
    found = read_chain_config(config()).blob_parameters(timestamp)
    assert (found and found.max) == most


def test_numbers_may_be_text_and_of_any_size() -> None:
    read = read_chain_config(
        config(
            terminalTotalDifficulty=58_750_000_000_000_000_000_000,
            londonBlock="0x6e",
            chainId="1337",
            daoForkSupport=True,
        )
    )
    assert read.terminal_total_difficulty == 58_750_000_000_000_000_000_000
    assert (read.blocks["londonBlock"], read.chain_id, read.dao_fork_support) == (110, 1_337, True)
    assert read.blobs["bpo1"] == BlobParameters(target=10, max=15, update_fraction=8_346_193)


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"chainId": None}, ConfigReason.MISSING, "config.chainId: found nothing"),
        ({"londonBlock": -1}, ConfigReason.WRONG_TYPE, "config.londonBlock: found -1, want 0 to"),
        ({"londonBlock": True}, ConfigReason.WRONG_TYPE, "config.londonBlock: found True"),
        ({"londonBlock": "soon"}, ConfigReason.WRONG_TYPE, "config.londonBlock: found 'soon'"),
        ({"cancunTime": 1.5}, ConfigReason.WRONG_TYPE, "config.cancunTime: found 1.5"),
        (
            {"byzantiumBlock": 200},
            ConfigReason.ORDER,
            "config.constantinopleBlock: found 60, want at least config.byzantiumBlock, 200",
        ),
        (
            {"berlinBlock": None},
            ConfigReason.ORDER,
            "config.berlinBlock: found nothing, but config.londonBlock is 110",
        ),
        (
            {"cancunTime": None},
            ConfigReason.ORDER,
            "config.cancunTime: found nothing, but config.pragueTime is 1200",
        ),
        ({"clique": {"period": 5}}, ConfigReason.UNSUPPORTED, "config.clique: found a proof-of-"),
        ({"amsterdamTime": 0}, ConfigReason.UNSUPPORTED, "config.amsterdamTime: found 0"),
        (
            {"blobSchedule": None},
            ConfigReason.MISSING,
            "config.blobSchedule.cancun: found nothing, but config.cancunTime is set",
        ),
        ({"blobSchedule": 7}, ConfigReason.WRONG_TYPE, "config.blobSchedule: found 7"),
        (
            {"blobSchedule": {"cancun": {"target": 3, "max": 6}}},
            ConfigReason.WRONG_TYPE,
            "config.blobSchedule.cancun: found {'target': 3, 'max': 6}, want target, max and",
        ),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, object], reason: ConfigReason, message: str
) -> None:
    with pytest.raises(Rejected) as caught:
        read_chain_config(config(**changes))
    assert caught.value.reason is reason
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("document", [None, [], {}, {"config": None}, {"config": "mainnet"}])
def test_a_file_without_config_is_refused(document: object) -> None:
    with pytest.raises(Rejected, match="want an object"):
        read_chain_config(document)


@pytest.mark.parametrize("key", ["daoForkBlock", "muirGlacierBlock", "mergeNetsplitBlock"])
def test_some_forks_may_be_left_out(key: str) -> None:
    assert key not in read_chain_config(config(**{key: None})).blocks


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(["chainId", "blobSchedule", *BLOCK_FORKS, *TIME_FORKS]), JSON)
)
def test_any_json_is_read_or_refused(changes: dict[str, object]) -> None:
    with suppress(Rejected):
        read_chain_config({"config": {"chainId": 1} | changes})
