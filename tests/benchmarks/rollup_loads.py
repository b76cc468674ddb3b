"""What the L2 is loaded with: rich accounts, signed transfers of ETH and of a token, and processes that send them.

The token is the L2's WETH; anvil is given the same code at the same address.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from node.contracts.addresses import WETH
from tests.benchmarks.load import Client, banker
from tests.benchmarks.sends import CHAIN_ID, Server
from tests.e2e.devnet import wait_for
from tests.kit.transfers import Sender, sender, sign_transfer

LANES: Final = 16
"""Connections that send at the same time."""

CROWD: Final = tuple(sender(f"rollup {number}") for number in range(LANES * 8))
"""Who sends, each on one connection, and who is sent to."""

FUNDING_WEI: Final = 2 * 10**18
"""What each of the crowd has, in ETH, before anything is measured."""

WETH_WEI: Final = 10**9
"""What each of them has of the token."""

FEE_MAX_WEI: Final = 10**10
"""Offered a gas; anvil's base fee begins at a tenth of it, the L2's is a constant far below."""

TOKEN_GAS: Final = 60_000
"""Of a token transfer."""

DEPOSIT_SELECTOR: Final = bytes.fromhex("d0e30db0")
"""deposit()"""

TRANSFER_SELECTOR: Final = bytes.fromhex("a9059cbb")
"""transfer(address,uint256)"""

Sign = Callable[[Sender, int, Sender], bytes]
"""A transaction of a sender, with a nonce, to somebody."""


def transfer(by: Sender, nonce: int, to: Sender) -> bytes:
    """One wei for somebody."""
    return sign_transfer(
        by,
        nonce=nonce,
        to=to.address,
        max_fee_per_gas=FEE_MAX_WEI,
        max_priority_fee_per_gas=1,
        chain_id=CHAIN_ID,
    )


def token_transfer(by: Sender, nonce: int, to: Sender) -> bytes:
    """One unit of the token for somebody."""
    return sign_transfer(
        by,
        nonce=nonce,
        to=WETH,
        value=0,
        data=TRANSFER_SELECTOR + bytes(12) + to.address + (1).to_bytes(32),
        gas_limit=TOKEN_GAS,
        max_fee_per_gas=FEE_MAX_WEI,
        max_priority_fee_per_gas=1,
        chain_id=CHAIN_ID,
    )


def nonce_of(server: Server, of: Sender) -> int:
    """An account's next nonce."""
    return int(str(server.ask("eth_getTransactionCount", "0x" + of.address.hex(), "latest")), 16)


def enrich(server: Server) -> None:
    """Give the crowd ETH and tokens, unless they have them, and wait for it."""
    if nonce_of(server, CROWD[-1]) > 0:
        return
    client, bank = Client(f"http://127.0.0.1:{server.port}"), banker()
    nonce = nonce_of(server, bank)
    raws = [
        sign_transfer(
            bank,
            nonce=nonce + place,
            to=one.address,
            value=FUNDING_WEI,
            max_fee_per_gas=FEE_MAX_WEI,
            max_priority_fee_per_gas=1,
            chain_id=CHAIN_ID,
        )
        for place, one in enumerate(CROWD)
    ]
    _send(client, raws)
    wait_for("the crowd's ETH", lambda: _balance(server, CROWD[-1]) > 0)
    raws = [
        sign_transfer(
            one,
            nonce=nonce_of(server, one),
            to=WETH,
            value=WETH_WEI,
            data=DEPOSIT_SELECTOR,
            gas_limit=100_000,
            max_fee_per_gas=FEE_MAX_WEI,
            max_priority_fee_per_gas=1,
            chain_id=CHAIN_ID,
        )
        for one in CROWD
    ]
    _send(client, raws)
    wait_for("the crowd's tokens", lambda: all(nonce_of(server, one) > 0 for one in CROWD))


def _balance(server: Server, of: Sender) -> int:
    return int(str(server.ask("eth_getBalance", "0x" + of.address.hex(), "latest")), 16)


def _send(client: Client, raws: Sequence[bytes]) -> None:
    for start in range(0, len(raws), 50):
        calls: list[tuple[str, list[object]]] = [
            ("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in raws[start : start + 50]
        ]
        refused = [answer for answer in client.batch(calls) if "error" in answer]
        assert not refused, refused[0]


def signed_lanes(server: Server, sign: Sign, count: int, lanes: int = LANES) -> list[list[str]]:
    """Signed transactions, `count` in all, by connection; each account's are on one connection, in the order of its nonces."""
    made: list[list[str]] = []
    for lane in range(lanes):
        senders = CROWD[lane::lanes]
        nonces = [nonce_of(server, one) for one in senders]
        made.append([])
        for at in range(count // lanes):
            who, turn = at % len(senders), at // len(senders)
            to = CROWD[(lane + 7 * at + 1) % len(CROWD)]
            made[-1].append("0x" + sign(senders[who], nonces[who] + turn, to).hex())
    return made


def run_client(module: str, *arguments: str, lanes: Sequence[Sequence[str]]) -> dict[str, float]:
    """Send from another process; what it prints. The last argument it gets is the file of transactions."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(orjson.dumps(lanes))
        file.flush()
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments, file.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = orjson.loads(done.stdout)
    return found
