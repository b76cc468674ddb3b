"""A process's folder as the supervisor would write it: genesis, keys, identity, configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from node.config import NodeConfig, load_config
from node.consensus.genesis import Genesis, genesis_document as consensus_document
from node.consensus.parameters import Parameters
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.runtime.clock import SystemClock
from tests.kit import execution_chain
from tests.kit.chain_builder import ValidatorKey, make_genesis, make_keys

SLOT_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What one process is started with."""

    path: Path
    """Everything lies in here."""
    genesis: Genesis
    """Of its network."""
    keys: list[ValidatorKey]
    """Of the network's validators; this process holds all of them."""

    @property
    def config_file(self) -> Path:
        """What `--config` names."""
        return self.path / "config.json"

    @property
    def data(self) -> Path:
        """Where it stores everything."""
        return self.path / "data"

    def configure(self, **changes: object) -> NodeConfig:
        """Write the configuration, with changes at the top level."""
        document: dict[str, object] = {
            "name": "validator-0",
            "data_dir": "data",
            "genesis_file": "genesis.json",
            "keys_file": "keys.json",
            "rpc": {"port": 0},
            "metrics": {"port": 0},
            "p2p": {"port": 0, "key_file": "p2p.key"},
            "engine": {"cache_mb": 1},
        }
        self.config_file.write_text(json.dumps(document | changes))
        return load_config(self.config_file)

    def genesis_hash(self) -> Hash32:
        """As the engine computes it."""
        document = (self.path / "genesis.json").read_bytes()
        return Hash32(RevmEngine(document).genesis().block_hash)


def make_folder(path: Path, *, validators: int = 1, age_slots: int = 0) -> Folder:
    """A folder of a network whose first block is due now, or was due so many slots ago."""
    path.mkdir(exist_ok=True)
    keys = make_keys(validators)
    parameters = Parameters(slot_seconds=SLOT_SECONDS)
    start = (
        SystemClock().now_ms() // 1_000
        - (parameters.first_proposal_slot + age_slots) * SLOT_SECONDS
    )
    genesis = make_genesis(keys, parameters, time=start)
    document = execution_chain.genesis_document({}) | {
        "timestamp": hex(genesis.time),
        "gasLimit": hex(120_000_000),
        "extraData": "0x" + genesis.extra_data.hex(),
        "consensus": consensus_document(genesis),
    }
    (path / "genesis.json").write_text(json.dumps(document))
    write_secret(path / "p2p.key", "11" * 32)
    write_keys(path / "keys.json", keys)
    folder = Folder(path=path, genesis=genesis, keys=keys)
    folder.configure()
    return folder


def write_keys(file: Path, keys: list[ValidatorKey]) -> None:
    """A key file as `load_keys` wants it."""
    entries = [
        {"private_key": key.private.private_bytes_raw().hex(), "onion_seed": key.onion_seed.hex()}
        for key in keys
    ]
    write_secret(file, json.dumps({"keys": entries}))


def write_secret(file: Path, text: str) -> None:
    """A file that nobody else may read."""
    file.touch(mode=0o600)
    file.write_text(text)
