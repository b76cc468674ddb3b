"""Makes a new network in a folder: keys, accounts, genesis.

manifest -> keys/ -> genesis.json -> network.json, last: a folder without it holds no network
"""

from __future__ import annotations

import os

import orjson

from deploy.derivation import mnemonic_accounts
from deploy.genesis import new_genesis
from deploy.keys import (
    new_validator,
    peer_id,
    save_secret,
    share_out,
    validator_file,
    withdrawal_file,
)
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import (
    Network,
    NetworkError,
    erase,
    foreign_entries,
    process_names,
    replace_file,
    save_network,
)


def create(layout: Layout, manifest: Manifest, start: int) -> Network:
    """Make a new network whose first block is due at `start`, seconds since the epoch of Unix.

    Raises:
        NetworkError: when the folder holds other things.
    """
    _claim(layout)
    validators = [new_validator() for _ in range(manifest.network.validators)]
    names = process_names(manifest)
    for name, share in zip(names, share_out(validators, len(names)), strict=True):
        save_secret(layout.validator_keys(name), validator_file(share))
    save_secret(layout.withdrawal_keys, withdrawal_file(validators))
    peer_ids = {}
    for name in names:
        seed = os.urandom(32)
        save_secret(layout.p2p_key(name), seed.hex().encode())
        peer_ids[name] = peer_id(seed)
    accounts = tuple(mnemonic_accounts(manifest.network.accounts))
    genesis = new_genesis(manifest, validators, accounts, start)
    replace_file(layout.genesis, orjson.dumps(genesis, option=orjson.OPT_INDENT_2))
    network = Network(layout=layout, manifest=manifest, accounts=accounts, peer_ids=peer_ids)
    save_network(network)
    layout.unfinished.unlink()
    return network


def _claim(layout: Layout) -> None:
    layout.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if layout.unfinished.exists():
        # A creation that was cut off: nothing in it was ever used.
        erase(layout)
    if foreign_entries(layout):
        raise NetworkError(f"{layout.data}: is not empty and holds no network; name another folder")
    layout.unfinished.touch()
    layout.keys.mkdir(mode=0o700)
