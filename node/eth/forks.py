"""The `config` object of a genesis file in geth's format: which fork is active when, and what blobs cost then.

    genesis.json -> read_chain_config -> ChainConfig -> standalone node, blob fees, eth_config

The engine reads the same object for itself and applies the rules; this is for whoever only has to know which are in force.
Deliberately absent: the rules of any fork, and networks that are not Ethereum's (`clique`).

Source: geth's params.ChainConfig; EIP-7840 and EIP-7892 for blobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from node.errors import Rejected
from node.eth.primitives import ZERO_ADDRESS, Address

BLOCK_FORKS: Final = (
    "homesteadBlock",
    "daoForkBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "muirGlacierBlock",
    "berlinBlock",
    "londonBlock",
    "arrowGlacierBlock",
    "grayGlacierBlock",
    "mergeNetsplitBlock",
)
"""Forks that begin with a block, in their order."""

TIME_FORKS: Final = (
    "shanghaiTime",
    "cancunTime",
    "pragueTime",
    "osakaTime",
    "bpo1Time",
    "bpo2Time",
    "bpo3Time",
    "bpo4Time",
    "bpo5Time",
)
"""Forks that begin with a time, in their order."""

OPTIONAL_FORKS: Final = frozenset(
    {
        "daoForkBlock",
        "muirGlacierBlock",
        "arrowGlacierBlock",
        "grayGlacierBlock",
        "mergeNetsplitBlock",
        *TIME_FORKS[4:],
    }
)
"""A chain may leave these out and have later ones."""

UNKNOWN_FORKS: Final = ("amsterdamTime", "verkleTime", "eofTime")
"""Forks that a genesis file of today may name and that no engine here knows."""

_NUMERAL: Final = re.compile("0x[0-9a-fA-F]{1,64}|0|[1-9][0-9]{0,77}", re.ASCII)
"""A number as text: hex, or decimal."""

UINT64_MAX: Final = (1 << 64) - 1
"""Block numbers, times and chain ids have 64 bits."""


class ConfigReason(StrEnum):
    """Why a `config` object cannot be used."""

    WRONG_TYPE = "config_wrong_type"
    """A value is of another kind than its key wants."""
    MISSING = "config_missing"
    """A key that must be there is not."""
    ORDER = "config_order"
    """A fork is set before one that it stands on."""
    UNSUPPORTED = "config_unsupported"
    """A network or a fork that this program does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobParameters:
    """What a fork says about blobs (EIP-7840)."""

    target: int
    """Blobs of a block at which their price stands still."""
    max: int
    """Most blobs of a block."""
    update_fraction: int
    """How slowly the price of blob gas moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """Which rules a chain has when."""

    chain_id: int
    """EIP-155 chain id."""
    blocks: Mapping[str, int]
    """First block of each fork of `BLOCK_FORKS` that is set, by geth's key."""
    times: Mapping[str, int]
    """Beginning of each fork of `TIME_FORKS` that is set, seconds since the epoch of Unix."""
    terminal_total_difficulty: int | None
    """Difficulty of all blocks up to the last of proof of work; None on a chain that never merges."""
    dao_fork_support: bool
    """Whether the block of `daoForkBlock` moves the DAO's ether."""
    blobs: Mapping[str, BlobParameters]
    """Blob parameters by the fork that brings them (cancun, prague, osaka, bpo1 ...)."""
    deposit_contract: Address = ZERO_ADDRESS
    """Whose logs are deposits of stake (EIP-6110)."""

    def is_active(self, fork: str, *, number: int, timestamp: int) -> bool:
        """Whether a fork, by geth's key, is in force in a block."""
        if fork in self.times:
            return timestamp >= self.times[fork]
        return fork in self.blocks and number >= self.blocks[fork]

    def blob_parameters(self, timestamp: int) -> BlobParameters | None:
        """The entry of the blob schedule in force; None before Cancun."""
        found: BlobParameters | None = None
        for key in TIME_FORKS:
            name = key.removesuffix("Time")
            if name in self.blobs and self.times.get(key, UINT64_MAX + 1) <= timestamp:
                found = self.blobs[name]
        return found


def read_chain_config(document: object) -> ChainConfig:
    """Read the `config` object of a genesis file.

    Args:
        document: the whole file, as a JSON decoder gives it; integers of any size, or text (0x, decimal).

    Raises:
        Rejected: with a ConfigReason and a message that names key, what was found and what is wanted.
    """
    config = _object(_object(document, "the file").get("config"), "config")
    if config.get("clique") is not None:
        raise Rejected(
            ConfigReason.UNSUPPORTED,
            "config.clique: found a proof-of-authority network, want proof of work or of stake",
        )
    for key in UNKNOWN_FORKS:
        if config.get(key) is not None:
            raise Rejected(
                ConfigReason.UNSUPPORTED,
                f"config.{key}: found {config[key]!r}, the newest fork known here is BPO5",
            )
    chain_id = _number(config, "chainId", UINT64_MAX)
    if chain_id is None:
        raise Rejected(ConfigReason.MISSING, "config.chainId: found nothing, want the chain's id")
    blocks, times = _activations(config, BLOCK_FORKS), _activations(config, TIME_FORKS)
    _check_order(blocks, BLOCK_FORKS)
    _check_order(times, TIME_FORKS)
    return ChainConfig(
        chain_id=chain_id,
        blocks=MappingProxyType(blocks),
        times=MappingProxyType(times),
        terminal_total_difficulty=_number(config, "terminalTotalDifficulty", (1 << 256) - 1),
        dao_fork_support=config.get("daoForkSupport") is True,
        blobs=MappingProxyType(_read_blobs(config, times)),
        deposit_contract=_read_address(config, "depositContractAddress"),
    )


def _activations(config: Mapping[str, object], keys: tuple[str, ...]) -> dict[str, int]:
    found = {key: _number(config, key, UINT64_MAX) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def _check_order(activations: Mapping[str, int], keys: tuple[str, ...]) -> None:
    """Each fork stands on all before it that are not optional; none begins before an earlier one."""
    missing: str | None = None
    last: str | None = None
    for key in keys:
        value = activations.get(key)
        if value is None:
            if key not in OPTIONAL_FORKS:
                missing = missing or key
            continue
        if missing is not None and key not in OPTIONAL_FORKS:
            raise Rejected(
                ConfigReason.ORDER, f"config.{missing}: found nothing, but config.{key} is {value}"
            )
        if last is not None and value < activations[last]:
            raise Rejected(
                ConfigReason.ORDER,
                f"config.{key}: found {value}, want at least config.{last}, {activations[last]}",
            )
        last = key


def _read_blobs(
    config: Mapping[str, object], times: Mapping[str, int]
) -> dict[str, BlobParameters]:
    found: dict[str, BlobParameters] = {}
    raw = config.get("blobSchedule")
    schedule = {} if raw is None else _object(raw, "config.blobSchedule")
    for key in TIME_FORKS[1:]:
        name = key.removesuffix("Time")
        place = f"config.blobSchedule.{name}"
        if name not in schedule:
            if key in times:
                raise Rejected(
                    ConfigReason.MISSING, f"{place}: found nothing, but config.{key} is set"
                )
            continue
        entry = _object(schedule[name], place)
        values = [_number(entry, one, UINT64_MAX, place) for one in ("target", "max")]
        fraction = _number(entry, "baseFeeUpdateFraction", UINT64_MAX, place)
        if values[0] is None or not values[1] or not fraction:
            raise Rejected(
                ConfigReason.WRONG_TYPE,
                f"{place}: found {entry!r}, want target, max and baseFeeUpdateFraction",
            )
        found[name] = BlobParameters(target=values[0], max=values[1], update_fraction=fraction)
    return found


def _read_address(config: Mapping[str, object], key: str) -> Address:
    value = config.get(key)
    if value is None:
        return ZERO_ADDRESS
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    try:
        decoded = bytes.fromhex(digits)
    except ValueError:
        decoded = b""
    if len(decoded) != len(ZERO_ADDRESS):
        raise Rejected(
            ConfigReason.WRONG_TYPE, f"config.{key}: found {value!r:.60}, want an address"
        )
    return Address(decoded)


def _object(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Rejected(ConfigReason.WRONG_TYPE, f"{place}: found {value!r:.60}, want an object")
    return value


def _number(
    container: Mapping[str, object], key: str, most: int, place: str = "config"
) -> int | None:
    """A number under a key; None where there is none."""
    value = container.get(key)
    number: object = value
    if isinstance(value, str):
        # Without signs, blanks and underscores, which Python would take.
        number = int(value, 0) if _NUMERAL.fullmatch(value) else None
    elif value is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise Rejected(
            ConfigReason.WRONG_TYPE, f"{place}.{key}: found {value!r:.60}, want 0 to {most}"
        )
    return number
