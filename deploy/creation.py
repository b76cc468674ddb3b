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
    erase,
    process_names,
    replace_file,
    save_network,
)


def claim(layout: Layout) -> None:
    """Take a folder for a new network; the one that is there, whole or cut off while it was made, is removed.

    Raises:
        NetworkError: when the folder holds other things.
    """
    layout.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    erase(layout)
    layout.unfinished.touch()


def create(layout: Layout, manifest: Manifest, start: int) -> Network:
    """Make a new network in a folder that was claimed.

    Args:
        layout: the folder.
        manifest: what the network is.
        start: when its first block is due, seconds since the epoch of Unix.
    """
    layout.keys.mkdir(mode=0o700)
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
