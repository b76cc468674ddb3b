"""EIP-7685: what a block asks of consensus, by type: staking deposits, exits, consolidations, the portal's deposits."""

from __future__ import annotations

import hashlib

import pytest

from deploy.published import published_contracts
from node.eth import rlp
from node.eth.headers import header_of_block
from node.eth.primitives import Gwei
from node.eth.requests import (
    DepositRecord,
    ExitRecord,
    deposit_records,
    exit_records,
    requests_hash,
)
from tests.kit.execution_chain import (
    DEPOSITED_TOPIC,
    DEPOSITOR,
    ETHER,
    PORTAL,
    SENDER,
    ExecutionChain,
    address_of,
    sign,
)

CONTRACTS = {
    contract.name: bytes.fromhex(contract.address.removeprefix("0x"))
    for contract in published_contracts()
}
PUBLIC_KEY = bytes([0xAA] * 32 + [0] * 16)
CREDENTIALS = b"\x01" + bytes(11) + address_of(DEPOSITOR)
SIGNATURE = bytes([0xCC] * 96)


def named(part: str) -> bytes:
    """The address of the one published contract with this in its name."""
    (address,) = [address for name, address in CONTRACTS.items() if part in name.lower()]
    return address


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def deposit_call(amount_gwei: int) -> bytes:
    """Input of the deposit contract's `deposit(bytes,bytes,bytes,bytes32)`."""
    public_key_root = sha256(PUBLIC_KEY, bytes(16))
    signature_root = sha256(sha256(SIGNATURE[:64]), sha256(SIGNATURE[64:], bytes(32)))
    amount = amount_gwei.to_bytes(8, "little") + bytes(24)
    root = sha256(sha256(public_key_root, CREDENTIALS), sha256(amount, signature_root))
    tails = [PUBLIC_KEY + bytes(16), CREDENTIALS, SIGNATURE]
    lengths = [48, 32, 96]
    offsets, offset = [], 4 * 32
    for tail in tails:
        offsets.append(offset)
        offset += 32 + len(tail)
    words = b"".join(at.to_bytes(32, "big") for at in offsets) + root
    body = b"".join(
        length.to_bytes(32, "big") + tail for length, tail in zip(lengths, tails, strict=True)
    )
    return bytes.fromhex("22895118") + words + body


@pytest.fixture
def chain() -> ExecutionChain:
    return ExecutionChain.open()


def test_a_quiet_block_asks_nothing(chain: ExecutionChain) -> None:
    block = chain.grow([sign(SENDER, nonce=0)])
    assert block.requests == []
    assert header_of_block(block.block).requests_hash == requests_hash([])


def staking_call(nonce: int) -> bytes:
    """A deposit for consensus."""
    return sign(
        DEPOSITOR,
        nonce=nonce,
        to=named("deposit"),
        value=ETHER,
        data=deposit_call(10**9),
        gas=300_000,
    )


@pytest.mark.parametrize(("deposits", "types"), [(85, [0]), (86, [0, 0x7E])])
def test_a_long_last_request_is_followed_by_the_portals(
    chain: ExecutionChain, deposits: int, types: list[int]
) -> None:
    """Given staking deposits of 16 KiB and no deposit to the L2, when built and judged, then a request says so.

    A STEP carries the last request in full: it must never be long.
    """
    block = chain.seal([staking_call(nonce) for nonce in range(deposits)])
    assert [request[0] for request in block.requests] == types
    assert len(block.requests[0]) == 1 + 192 * deposits
    assert block.requests[-1] == b"\x7e\x80" or len(types) == 1
    assert chain.execute(block.block).requests == block.requests


def test_a_staking_deposit_is_a_request(chain: ExecutionChain) -> None:
    """Given a call of the deposit contract, when built and judged, then request 0 is its record (EIP-6110)."""
    # Given
    call = sign(
        DEPOSITOR,
        nonce=0,
        to=named("deposit"),
        value=32 * ETHER,
        data=deposit_call(32 * 10**9),
        gas=300_000,
    )

    # When
    block = chain.seal([call])
    judged = chain.execute(block.block)

    # Then
    assert judged.requests == block.requests
    (request,) = block.requests
    assert request[0] == 0
    (record,) = deposit_records(request[1:])
    assert record == DepositRecord(
        public_key=PUBLIC_KEY,
        withdrawal_credentials=CREDENTIALS,
        amount_gwei=Gwei(32 * 10**9),
        signature=SIGNATURE,
        index=0,
    )


def test_an_exit_is_a_request(chain: ExecutionChain) -> None:
    """Given a call of the withdrawal contract, when built, then request 1 is its record (EIP-7002)."""
    # Given
    data = PUBLIC_KEY + bytes(8)
    call = sign(SENDER, nonce=0, to=named("withdrawal"), value=1, data=data, gas=300_000)

    # When
    block = chain.seal([call])

    # Then
    assert chain.execute(block.block).requests == block.requests
    (request,) = block.requests
    assert request[0] == 1
    (record,) = exit_records(request[1:])
    assert record == ExitRecord(
        source_address=address_of(SENDER), public_key=PUBLIC_KEY, amount_gwei=Gwei(0)
    )


def test_requests_ascend_by_type(chain: ExecutionChain) -> None:
    """Given all kinds at once, when built, then types ascend and the header commits to them."""
    # Given
    transactions = [
        sign(SENDER, nonce=0, to=PORTAL, data=b"first", gas=100_000),
        sign(
            SENDER,
            nonce=1,
            to=named("consolidation"),
            value=1,
            data=PUBLIC_KEY * 2,
            gas=300_000,
        ),
        sign(
            SENDER,
            nonce=2,
            to=named("withdrawal"),
            value=1,
            data=PUBLIC_KEY + bytes(8),
            gas=300_000,
        ),
        sign(
            DEPOSITOR,
            nonce=0,
            to=named("deposit"),
            value=ETHER,
            data=deposit_call(10**9),
            gas=300_000,
        ),
        sign(SENDER, nonce=3, to=PORTAL, data=b"second", gas=100_000),
    ]

    # When
    block = chain.seal(transactions)

    # Then
    assert [request[0] for request in block.requests] == [0, 1, 2, 0x7E]
    assert header_of_block(block.block).requests_hash == requests_hash(block.requests)
    assert chain.execute(block.block).requests == block.requests
    # The portal's logs stand third and last of the block's: an exit and a deposit log one each in between.
    records = rlp.decode(rlp.encode_list([block.requests[3][1:]]))
    assert records == [
        [b"", [DEPOSITED_TOPIC], b"first"],
        [b"\x04", [DEPOSITED_TOPIC], b"second"],
    ]


def test_only_the_portals_deposits_count(chain: ExecutionChain) -> None:
    """Given the same log of another contract, when built, then nothing is asked."""
    code = chain.engine.code(chain.head.state_root, PORTAL)
    twin = bytes([0x71] * 20)
    other = ExecutionChain.open(
        extra_accounts={"0x" + twin.hex(): {"balance": "0x0", "code": "0x" + code.hex()}}
    )
    assert other.seal([sign(SENDER, nonce=0, to=twin, data=b"x", gas=100_000)]).requests == []
