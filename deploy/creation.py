"""Makes a new network in a folder: keys, accounts, genesis.

manifest -> keys/ -> l2-genesis.json, genesis.json -> network.json, last: a folder without it holds no network
"""

from __future__ import annotations

import os

import orjson

from deploy.derivation import mnemonic_accounts
from deploy.genesis import new_documents
from deploy.keys import (
    RollupSecrets,
    new_rollup,
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
    BRIDGE,
    SEQUENCER,
    WATCHTOWER,
    Network,
    Placement,
    follower_names,
    places,
    replace_file,
    save_network,
    validator_names,
)
from node.eth.headers import header_of_block
from node.execution.adapter import RevmEngine
from node.rollup.outputs import Output, output_of


def create(
    layout: Layout, manifest: Manifest, start: int, placement: Placement = "machine"
) -> Network:
    """Make a new network in a folder that was claimed.

    Args:
        layout: the folder.
        manifest: what the network is.
        start: when its first block is due, seconds since the epoch of Unix.
        placement: where its processes stand.
    """
    layout.keys.mkdir(mode=0o700)
    validators = [new_validator() for _ in range(manifest.network.validators)]
    names = validator_names(manifest)
    for name, share in zip(names, share_out(validators, len(names)), strict=True):
        save_secret(layout.validator_keys(name), validator_file(share))
    save_secret(layout.withdrawal_keys, withdrawal_file(validators))
    rollup = new_rollup(follower_names(manifest))
    if manifest.l2.enabled:
        _save_rollup(layout, rollup)
    peer_ids = {}
    for place in places(manifest):
        seed = os.urandom(32)
        save_secret(layout.p2p_key(place.name), seed.hex().encode())
        peer_ids[place.name] = peer_id(seed)
    accounts = tuple(mnemonic_accounts(manifest.network.accounts))
    l1, l2 = new_documents(manifest, validators, rollup, accounts, start, genesis_output)
    if l2 is not None:
        replace_file(layout.l2_genesis, orjson.dumps(l2, option=orjson.OPT_INDENT_2))
    replace_file(layout.genesis, orjson.dumps(l1, option=orjson.OPT_INDENT_2))
    network = Network(
        layout=layout,
        manifest=manifest,
        accounts=accounts,
        peer_ids=peer_ids,
        placement=placement,
    )
    save_network(network)
    layout.unfinished.unlink()
    return network


def genesis_output(document: dict[str, object]) -> Output:
    """The output of the block that an L2 genesis document gives, computed by the engine in memory."""
    engine = RevmEngine(orjson.dumps(document), cache_megabytes=1)
    try:
        return output_of(header_of_block(engine.genesis().block))
    finally:
        engine.close()


def _save_rollup(layout: Layout, rollup: RollupSecrets) -> None:
    save_secret(layout.unsafe_key(SEQUENCER), rollup.unsafe_key.hex().encode())
    save_secret(layout.batcher_key(SEQUENCER), rollup.batcher_key.hex().encode())
    for name, key in rollup.forcer_keys.items():
        save_secret(layout.forcer_key(name), key.hex().encode())
    save_secret(layout.proposer_key(BRIDGE), rollup.proposer_key.hex().encode())
    save_secret(layout.relayer_key(BRIDGE), rollup.relayer_key.hex().encode())
    save_secret(layout.challenger_key(WATCHTOWER), rollup.challenger_key.hex().encode())
    save_secret(layout.guardian_key, rollup.guardian_key.hex().encode())
