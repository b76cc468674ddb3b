"""Which keys make which process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.app.assembly import check_accounts, fault_role
from bridge.app.core import Accounts
from bridge.config import BridgeConfig
from node.app.failures import SetupError
from node.config import P2pConfig
from sequencer.batching.signing import L1Account

ONE, OTHER = (L1Account(bytes([number]) * 32, 900) for number in (1, 2))


def config(*roles: str) -> BridgeConfig:
    return BridgeConfig(
        name="bridge",
        data_dir=Path("data"),
        genesis_file=Path("genesis.json"),
        l2_genesis_file=Path("l2-genesis.json"),
        p2p=P2pConfig(key_file=Path("p2p.key")),
        **{f"{role}_key_file": Path(role) for role in roles},  # type: ignore[arg-type]
    )


def test_each_role_has_an_account_of_its_own() -> None:
    check_accounts(Accounts(proposer=ONE, challenger=OTHER), None)
    with pytest.raises(SetupError, match="relayer_key_file: the account of proposer_key_file"):
        check_accounts(Accounts(proposer=ONE, relayer=ONE), OTHER)
    with pytest.raises(SetupError, match="forcer_key_file: the account of challenger_key_file"):
        check_accounts(Accounts(challenger=ONE), ONE)


def test_who_challenges_and_does_not_propose_is_a_watchtower() -> None:
    assert fault_role(config("challenger")) == "watchtower"
    assert fault_role(config("proposer", "relayer")) == "bridge"
    assert fault_role(config("proposer", "challenger")) == "bridge"
    assert fault_role(config()) == "bridge"
