"""The Portal's deposits: what they log, what is refused, what an L1 block may hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from node.eth import rlp
from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.rollup.deposits import DEPOSIT_TYPE, Deposit, source_hash, user_deposits
from node.rollup.limits import MAX_DEPOSITS, MAX_DEPOSITS_DATA_BYTES, MAX_DEPOSITS_GAS
from tests.kit.contract_network import LOCKED_WEI, Network
from tests.kit.contract_world import Log, Reverted
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of

TARGET = b"\x7a" * 20
"""Whom deposits call."""


@pytest.fixture
def network() -> Network:
    """A few blocks, no deposit."""
    opened = Network.open()
    opened.pass_blocks(3)
    return opened


def derived(logs: Sequence[Log]) -> tuple[Deposit, ...]:
    """The deposits that L2 makes of a block's logs."""
    items = b"".join(
        rlp.encode([index, list(log.topics), log.data]) for index, log in enumerate(logs)
    )
    return user_deposits(ZERO_HASH, [bytes([DEPOSIT_TYPE]) + items])


def minimum(data: bytes) -> int:
    """The least gas of a deposit with such data."""
    return 21_000 + 40 * len(data)


# -- what a deposit is


@pytest.mark.parametrize("is_creation", [False, True])
@pytest.mark.parametrize(
    ("paid", "value", "gas", "data"),
    [
        (0, 0, 21_000, b""),
        (1, 2**256 - 1, 3_000_000, b""),
        (10 * ETHER, 5 * ETHER, 1_400_000, bytes(range(256)) * 128),
        (7, 0, 100_000, b"\x01\x02\x03"),
    ],
)
def test_a_deposit_reaches_l2_as_it_was_made(
    network: Network, paid: int, value: int, gas: int, data: bytes, is_creation: bool
) -> None:
    to = bytes(20) if is_creation else TARGET

    receipt = network.world.transact(
        DEPOSITOR,
        network.portal,
        "depositTransaction",
        to,
        value,
        gas,
        is_creation,
        data,
        value=paid,
    )

    opaque = paid.to_bytes(32) + value.to_bytes(32) + gas.to_bytes(8) + bytes([is_creation]) + data
    assert network.portal.events(receipt, "TransactionDeposited") == [
        {
            "sender": DEPOSITOR.address.lower(),
            "to": "0x" + to.hex(),
            "version": 0,
            "opaqueData": opaque,
        }
    ]
    assert derived(receipt.logs) == (
        Deposit(
            source_hash=source_hash(0, ZERO_HASH, 0),
            sender=address_of(DEPOSITOR),
            to=None if is_creation else Address(TARGET),
            mint=paid,
            value=value,
            gas=gas,
            data=data,
        ),
    )
    assert network.world.balance(addresses.PORTAL) == LOCKED_WEI + paid


def test_a_plain_payment_is_a_deposit_to_oneself(network: Network) -> None:
    receipt = network.world.send(DEPOSITOR, addresses.PORTAL, value=3 * ETHER)

    (deposit,) = derived(receipt.logs)
    assert (deposit.sender, deposit.to) == (address_of(DEPOSITOR), address_of(DEPOSITOR))
    assert (deposit.mint, deposit.value) == (3 * ETHER, 3 * ETHER)
    assert (deposit.gas, deposit.data) == (100_000, b"")
    assert network.world.balance(addresses.PORTAL) == LOCKED_WEI + 3 * ETHER


def test_l1_commits_to_its_deposits(network: Network) -> None:
    """Given deposits among other logs of a block, then the block's request of type 0x7e gives L2 exactly these."""
    wrapping = network.world.signed(SENDER, addresses.WETH, value=1)
    first = network.world.signed(DEPOSITOR, addresses.PORTAL, value=2, gas=300_000)
    second = network.world.signed(SENDER, addresses.PORTAL, value=3, gas=300_000)
    network.world.mine([wrapping, first, second])

    block = network.world.chain.head
    origin = Hash32(block.block_hash)
    deposits = user_deposits(origin, block.requests)

    assert [deposit.mint for deposit in deposits] == [2, 3]
    assert [deposit.sender for deposit in deposits] == [address_of(DEPOSITOR), address_of(SENDER)]
    # The wrapping's log comes first.
    assert [deposit.source_hash for deposit in deposits] == [
        source_hash(0, origin, index) for index in (1, 2)
    ]


def test_a_donation_is_no_deposit(network: Network) -> None:
    receipt = network.world.transact(DEPOSITOR, network.portal, "donateETH", value=5)
    assert receipt.logs == ()
    assert network.world.balance(addresses.PORTAL) == LOCKED_WEI + 5
    assert network.world.read(network.portal, "params") == (0, 0, 0)


@pytest.mark.parametrize("length", [0, 1, 1_000, 120_000])
def test_minimum_gas_is_the_floor_of_a_transaction(network: Network, length: int) -> None:
    answer = network.world.read(network.portal, "minimumGasLimit", length)
    assert answer == 21_000 + 40 * length


def test_the_abi_s_version_is_one_that_viem_takes_for_fault_proofs(network: Network) -> None:
    version = network.world.read(network.portal, "version")
    assert int(str(version).split(".")[0]) >= 3


def test_resource_config_is_that_of_the_rules(network: Network) -> None:
    config = network.world.read(network.portal, "resourceConfig")
    assert config == (3_000_000, 10, 8, 10**9, 1_000_000, 2**128 - 1)


# -- what is refused


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((TARGET, 0, 100_000, True, b""), "OptimismPortal_BadTarget()"),
        ((TARGET, 0, 20_999, False, b""), "OptimismPortal_GasLimitTooLow()"),
        ((TARGET, 0, 21_039, False, b"\0"), "OptimismPortal_GasLimitTooLow()"),
        ((TARGET, 0, 0, False, b""), "OptimismPortal_GasLimitTooLow()"),
        ((TARGET, 0, 1_331_759, False, bytes(32_769)), "OptimismPortal_GasLimitTooLow()"),
        ((TARGET, 0, 1_331_760, False, bytes(32_769)), "OptimismPortal_CalldataTooLarge()"),
        ((TARGET, 0, 3_000_000, False, bytes(33_792)), "OptimismPortal_CalldataTooLarge()"),
        # Beyond what the bytecode has room for the decoder refuses, without a reason.
        ((TARGET, 0, 3_000_000, False, bytes(33_793)), "()"),
        ((TARGET, 0, 3_000_001, False, b""), "OutOfGas()"),
        ((TARGET, 0, 2**64 - 1, False, b""), "OutOfGas()"),
    ],
)
def test_deposit_refuses(network: Network, arguments: tuple[object, ...], refusal: str) -> None:
    with pytest.raises(Reverted) as reverted:
        network.world.transact(DEPOSITOR, network.portal, "depositTransaction", *arguments, value=1)
    assert str(reverted.value) == refusal
    assert network.world.balance(addresses.PORTAL) == LOCKED_WEI


def test_minimum_gas_is_enough(network: Network) -> None:
    for data in (b"", b"\0", bytes(32_768)):
        network.world.transact(
            DEPOSITOR,
            network.portal,
            "depositTransaction",
            TARGET,
            0,
            minimum(data),
            False,
            data,
        )


def test_unknown_functions_take_nothing(network: Network) -> None:
    """Given OP's initialiser, a function of later issues, or a stray byte: a revert, never a deposit."""
    for data in (bytes.fromhex("8e819e54") + bytes(128), bytes.fromhex("9bf62d82"), b"\x01"):
        receipt = network.world.send(DEPOSITOR, addresses.PORTAL, data, value=1)
        assert not receipt.succeeded
    assert network.world.balance(addresses.PORTAL) == LOCKED_WEI


@pytest.mark.parametrize("name", ["minimumGasLimit", "params", "version", "resourceConfig"])
def test_look_ups_take_no_payment(network: Network, name: str) -> None:
    arguments = (1,) if name == "minimumGasLimit" else ()
    with pytest.raises(Reverted):
        network.world.transact(DEPOSITOR, network.portal, name, *arguments, value=1)


# -- limits of an L1 block


def many(network: Network, deposits: Sequence[tuple[int, bytes]]) -> list[bool]:
    """One block with deposits of (gas, data) each; which of them succeeded."""
    raws = [
        network.world.signed(
            DEPOSITOR,
            addresses.PORTAL,
            network.portal.input("depositTransaction", TARGET, 0, gas, False, data),
            gas=5_000_000 if data else 3_400_000,
        )
        for gas, data in deposits
    ]
    return [receipt.succeeded for receipt in network.world.mine(raws)]


def test_a_block_holds_sixteen_deposits(network: Network) -> None:
    """Given 17 deposits in one block, then the last is refused; the next block takes 16 again."""
    assert many(network, [(21_000, b"")] * 17) == [True] * 16 + [False]
    assert many(network, [(21_000, b"")] * 16) == [True] * 16


def test_a_block_holds_three_million_gas(network: Network) -> None:
    assert many(network, [(1_500_000, b""), (1_479_000, b""), (21_001, b""), (21_000, b"")]) == [
        True,
        True,
        False,
        True,
    ]
    assert network.world.read(network.portal, "params") == (10**9, 3_000_000, network.height)
    assert many(network, [(1_000_000, b"")]) == [True]


def test_a_block_holds_32_kilobytes_of_data(network: Network) -> None:
    half = bytes(16_384)
    gas = minimum(half)
    assert many(network, [(gas, half), (gas, half), (minimum(b"\0"), b"\0"), (21_000, b"")]) == [
        True,
        True,
        False,
        True,
    ]
    assert many(network, [(gas, half)]) == [True]


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 10**18),
                st.integers(0, 2**256 - 1),
                st.integers(0, 1_200_000),
                st.booleans(),
                st.sampled_from([0, 0, 1, 31, 32, 33, 5_000, 20_000]),
            ),
            max_size=20,
        ),
        max_size=3,
    )
)
@settings(max_examples=15, deadline=None)
def test_l2_makes_a_deposit_of_every_log_and_no_block_holds_too_much(
    blocks: list[list[tuple[int, int, int, bool, int]]],
) -> None:
    """Given any deposits, then what the portal logs is within the rules' limits, and what it refused moved no Ether."""
    network = Network.open()
    locked = LOCKED_WEI
    for purchases in blocks:
        raws = []
        for paid, value, gas, is_creation, length in purchases:
            to = bytes(20) if is_creation else TARGET
            arguments = (to, value, gas, is_creation, bytes(length))
            data = network.portal.input("depositTransaction", *arguments)
            limit = 200_000 + 17 * length + 3 * gas
            raws.append(
                network.world.signed(DEPOSITOR, addresses.PORTAL, data, value=paid, gas=limit)
            )
        receipts = network.world.mine(raws)
        logs = [log for receipt in receipts for log in receipt.logs]
        deposits = derived(logs)
        assert len(deposits) == len(logs) == sum(receipt.succeeded for receipt in receipts)
        assert len(deposits) <= MAX_DEPOSITS
        assert sum(deposit.gas for deposit in deposits) <= MAX_DEPOSITS_GAS
        assert sum(len(deposit.data) for deposit in deposits) <= MAX_DEPOSITS_DATA_BYTES
        locked += sum(deposit.mint for deposit in deposits)
        assert network.world.balance(addresses.PORTAL) == locked


def test_limits_are_named(network: Network) -> None:
    """Given a contract that deposits too often in one transaction, then the reason says which limit it crossed."""
    network = Network.open(
        extra_accounts={"0x" + REPEATER.hex(): {"balance": "0x0", "code": "0x" + repeater().hex()}}
    )
    portal = network.portal
    small = portal.input("depositTransaction", TARGET, 0, 21_000, False, b"")
    bulky = portal.input("depositTransaction", TARGET, 0, 340_000, False, bytes(4_096))
    costly = portal.input("depositTransaction", TARGET, 0, 1_000_000, False, b"")

    assert repeated(network, 16, small) == b""
    for count, data, reason in (
        (17, small, "TooManyDeposits"),
        (9, bulky, "TooMuchDepositData"),
        (4, costly, "OutOfGas"),
    ):
        assert portal.error(repeated(network, count, data)).name == reason
        assert repeated(network, count - 1, data) == b""


REPEATER = b"\x4e" * 20
"""Calls the portal again and again."""


def repeater() -> bytes:
    """Code that calls the portal with input[32:] as often as input[:32] says; ends with the first revert's data."""
    # [n] loop: calldatacopy(0, 32, calldatasize - 32); call(gas, portal, 0, 0, calldatasize - 32, 0, 0)
    body = bytes.fromhex("5f355b6020360360205f375f5f602036035f5f73")
    body += addresses.PORTAL + bytes.fromhex("5af1")
    # if it failed: return its data
    loop_start = 2
    after = len(body) + 3 + 8
    body += bytes([0x60, after, 0x57]) + bytes.fromhex("3d5f5f3e3d5ff3") + b"\0" + b"\x5b"
    # n - 1; jump back while it is not zero
    body += bytes.fromhex("6001900380") + bytes([0x60, loop_start, 0x57, 0x00])
    return body


def repeated(network: Network, count: int, data: bytes) -> bytes:
    """The revert's data of `count` deposits in one call; nothing if all succeeded."""
    network.world.mine()
    repeating = type(network.portal)(network.portal.artifact, Address(REPEATER))
    return network.world.ask(
        repeating, count.to_bytes(32) + data, sender=address_of(SENDER), gas=60_000_000
    )
