"""Executes a chain with EELS: python reexecute.py CHAIN.json.

CHAIN.json: {"chainId": int, "alloc": {address: {balance, nonce, code, storage}}, "blocks": [rlp, ...]}, everything
0x-hex; the first block is genesis. EELS checks every header field and every root itself; this prints the last hash.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ethereum.crypto.hash import keccak256
from ethereum.forks.bpo2 import fork
from ethereum.forks.bpo2.blocks import Block
from ethereum.forks.bpo2.fork_types import Account, Address
from ethereum.forks.bpo2.state import State, set_account, set_storage, state_root
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes32
from ethereum_types.numeric import U64, U256, Uint


def unhex(text: str) -> bytes:
    """Bytes of 0x-hex."""
    return bytes.fromhex(text.removeprefix("0x"))


def genesis_state(alloc: dict[str, dict[str, object]]) -> State:
    """The state that a geth alloc describes."""
    state = State()
    for address_hex, entry in alloc.items():
        address = Address(unhex(address_hex))
        account = Account(
            nonce=Uint(int(str(entry.get("nonce", "0x0")), 0)),
            balance=U256(int(str(entry.get("balance", "0x0")), 0)),
            code=unhex(str(entry.get("code", "0x"))),
        )
        set_account(state, address, account)
        for slot, value in dict(entry.get("storage") or {}).items():
            number = U256(int.from_bytes(unhex(value), "big"))
            set_storage(state, address, Bytes32(unhex(slot).rjust(32, b"\0")), number)
    return state


def main(path: Path) -> None:
    """Execute all blocks; any disagreement raises."""
    chain_file = json.loads(path.read_text())
    blocks = [rlp.decode_to(Block, unhex(block)) for block in chain_file["blocks"]]
    state = genesis_state(chain_file["alloc"])
    if state_root(state) != blocks[0].header.state_root:
        raise AssertionError("genesis state root")
    chain = fork.BlockChain(blocks=[blocks[0]], state=state, chain_id=U64(chain_file["chainId"]))
    transactions = 0
    for block in blocks[1:]:
        try:
            fork.state_transition(chain, block)
        except Exception as error:
            raise AssertionError(f"block {block.header.number}: {error!r}") from error
        transactions += len(block.transactions)
    last = keccak256(rlp.encode(blocks[-1].header)).hex()
    print(json.dumps({"blocks": len(blocks), "transactions": transactions, "hash": "0x" + last}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
