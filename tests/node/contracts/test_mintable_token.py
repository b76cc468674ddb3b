"""OptimismMintableERC20 and its factory: terms, allowances, permits, and that the bridge alone mints and burns."""

from __future__ import annotations

from typing import Final, cast

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from node.contracts import addresses
from node.contracts.artifacts import load
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from tests.kit.contract_network import Network
from tests.kit.contract_world import Contract, Receipt, Reverted
from tests.kit.execution_chain import CHAIN_ID, DEPOSITOR, SENDER, address_of

BRIDGE: Final = SENDER
"""In the bridge's place: mints and burns."""

OWNER: Final = DEPOSITOR
"""Has tokens."""

SPENDER: Final[LocalAccount] = Account.from_key("0x" + "33" * 32)
"""May take some."""

OTHER: Final = Address(b"\x7e" * 20)
"""Somebody else."""

REMOTE: Final = Address(b"\x7a" * 20)
"""What the token stands for."""

ZERO: Final = bytes(20)

PERMIT2: Final = bytes.fromhex("000000000022D473030F116dDEE9F6B43aC78BA3")

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""

FACTORY: Final = Contract(load("OptimismMintableERC20Factory"), addresses.MINTABLE_ERC20_FACTORY)


@pytest.fixture
def network() -> Network:
    """As at genesis."""
    return Network.open()


@pytest.fixture
def token(network: Network) -> Contract:
    """A token of which the owner has a thousand."""
    artifact = load("OptimismMintableERC20")
    kinds = ["address", "address", "string", "string", "uint8"]
    terms = encode(kinds, [address_of(BRIDGE), REMOTE, "Stand-in", "STI", 6])
    receipt = network.world.send(SENDER, None, artifact.init + terms)
    assert receipt.contract is not None
    created = Contract(artifact, Address(receipt.contract))
    network.world.transact(BRIDGE, created, "mint", address_of(OWNER), 1_000)
    return created


def text(address: bytes) -> str:
    """As decoded logs have it."""
    return "0x" + address.hex()


def balances(network: Network, token: Contract) -> tuple[object, object, object]:
    """The owner's, the other's, all."""
    read = network.world.read
    return (
        read(token, "balanceOf", address_of(OWNER)),
        read(token, "balanceOf", OTHER),
        read(token, "totalSupply"),
    )


# -- terms


def test_terms_are_answered_by_every_name(network: Network, token: Contract) -> None:
    read = network.world.read
    terms = [read(token, name) for name in ("name", "symbol", "decimals")]
    assert terms == ["Stand-in", "STI", 6]
    for name in ("bridge", "BRIDGE", "l2Bridge"):
        assert read(token, name) == text(address_of(BRIDGE))
    for name in ("remoteToken", "REMOTE_TOKEN", "l1Token"):
        assert read(token, name) == text(REMOTE)
    assert read(token, "PERMIT2") == text(PERMIT2)


@pytest.mark.parametrize(
    ("interface", "known"),
    [
        ("01ffc9a7", True),
        ("1d1d8b63", True),
        ("ec4fc8e3", True),
        ("ffffffff", False),
        ("00000000", False),
    ],
)
def test_interfaces_are_those_of_the_op_stack(
    network: Network, token: Contract, interface: str, known: bool
) -> None:
    assert network.world.read(token, "supportsInterface", bytes.fromhex(interface)) is known


# -- mint and burn


def test_the_bridge_mints_and_burns(network: Network, token: Contract) -> None:
    minted = network.world.transact(BRIDGE, token, "mint", OTHER, 5)
    burnt = network.world.transact(BRIDGE, token, "burn", address_of(OWNER), 300)
    assert token.events(minted, "Mint") == [{"account": text(OTHER), "amount": 5}]
    assert token.events(minted, "Transfer") == [
        {"sender": text(ZERO), "receiver": text(OTHER), "value": 5}
    ]
    assert token.events(burnt, "Burn") == [{"account": text(address_of(OWNER)), "amount": 300}]
    assert token.events(burnt, "Transfer") == [
        {"sender": text(address_of(OWNER)), "receiver": text(ZERO), "value": 300}
    ]
    assert balances(network, token) == (700, 5, 705)


@pytest.mark.parametrize("name", ["mint", "burn"])
def test_nobody_else_mints_or_burns(network: Network, token: Contract, name: str) -> None:
    with pytest.raises(Reverted, match="only bridge can mint and burn"):
        network.world.transact(OWNER, token, name, address_of(OWNER), 1)


@pytest.mark.parametrize(
    ("name", "account", "amount", "said"),
    [
        ("mint", ZERO, 1, "ERC20: mint to the zero address"),
        ("burn", ZERO, 0, "ERC20: burn from the zero address"),
        ("burn", address_of(OWNER), 1_001, "ERC20: burn amount exceeds balance"),
        ("mint", OTHER, 2**256 - 1_000, r"^\(\)$"),
    ],
)
def test_the_bridge_cannot_make_sums_wrong(
    network: Network, token: Contract, name: str, account: bytes, amount: int, said: str
) -> None:
    with pytest.raises(Reverted, match=said):
        network.world.transact(BRIDGE, token, name, account, amount)
    assert balances(network, token) == (1_000, 0, 1_000)


# -- transfers and allowances


def test_tokens_move(network: Network, token: Contract) -> None:
    receipt = network.world.transact(OWNER, token, "transfer", OTHER, 400)
    assert token.events(receipt, "Transfer") == [
        {"sender": text(address_of(OWNER)), "receiver": text(OTHER), "value": 400}
    ]
    network.world.transact(OWNER, token, "transfer", address_of(OWNER), 600)
    assert balances(network, token) == (600, 400, 1_000)


def test_a_spender_takes_what_it_may(network: Network, token: Contract) -> None:
    world, spender = network.world, address_of(SPENDER)
    world.transact(OWNER, token, "approve", spender, 300)
    world.transact(SPENDER, token, "transferFrom", address_of(OWNER), OTHER, 200)
    assert world.read(token, "allowance", address_of(OWNER), spender) == 100
    with pytest.raises(Reverted, match="ERC20: insufficient allowance"):
        world.transact(SPENDER, token, "transferFrom", address_of(OWNER), OTHER, 101)
    assert balances(network, token) == (800, 200, 1_000)


def test_the_largest_allowance_never_runs_out(network: Network, token: Contract) -> None:
    world, spender = network.world, address_of(SPENDER)
    world.transact(OWNER, token, "approve", spender, 2**256 - 1)
    world.transact(SPENDER, token, "transferFrom", address_of(OWNER), OTHER, 200)
    assert world.read(token, "allowance", address_of(OWNER), spender) == 2**256 - 1


def test_permit2_needs_no_allowance(network: Network, token: Contract) -> None:
    """Given Uniswap's contract as spender, then it may take everything, and no approval changes that."""
    world = network.world
    world.transact(OWNER, token, "approve", PERMIT2, 0)
    assert world.read(token, "allowance", address_of(OWNER), PERMIT2) == 2**256 - 1
    call = token.input("transferFrom", address_of(OWNER), OTHER, 1_000)
    assert int.from_bytes(world.ask(token, call, sender=PERMIT2)) == 1


def test_allowances_move_up_and_down(network: Network, token: Contract) -> None:
    world, spender = network.world, address_of(SPENDER)
    world.transact(OWNER, token, "increaseAllowance", spender, 50)
    receipt = world.transact(OWNER, token, "decreaseAllowance", spender, 20)
    assert token.events(receipt, "Approval") == [
        {"owner": text(address_of(OWNER)), "spender": text(spender), "value": 30}
    ]
    with pytest.raises(Reverted, match="ERC20: decreased allowance below zero"):
        world.transact(OWNER, token, "decreaseAllowance", spender, 31)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("transfer", (ZERO, 1), "ERC20: transfer to the zero address"),
        ("transfer", (OTHER, 1_001), "ERC20: transfer amount exceeds balance"),
        ("approve", (ZERO, 1), "ERC20: approve to the zero address"),
        ("transferFrom", (ZERO, OTHER, 0), "ERC20: approve from the zero address"),
    ],
)
def test_refusals_are_openzeppelin_s(
    network: Network, token: Contract, name: str, arguments: tuple[object, ...], said: str
) -> None:
    with pytest.raises(Reverted, match=said):
        network.world.transact(OWNER, token, name, *arguments)


# -- permits


def permit(
    network: Network,
    token: Contract,
    *,
    signer: LocalAccount = OWNER,
    deadline: int = 2**256 - 1,
    nonce: int = 0,
    chain_id: int = CHAIN_ID,
    high: bool = False,
    v: int | None = None,
) -> Receipt:
    """The owner's permit for the spender to take 70, signed by whomever. Raises Reverted."""
    signed = signer.sign_message(
        encode_typed_data(
            full_message={
                "types": {
                    "EIP712Domain": [
                        {"name": "name", "type": "string"},
                        {"name": "version", "type": "string"},
                        {"name": "chainId", "type": "uint256"},
                        {"name": "verifyingContract", "type": "address"},
                    ],
                    "Permit": [
                        {"name": "owner", "type": "address"},
                        {"name": "spender", "type": "address"},
                        {"name": "value", "type": "uint256"},
                        {"name": "nonce", "type": "uint256"},
                        {"name": "deadline", "type": "uint256"},
                    ],
                },
                "primaryType": "Permit",
                "domain": {
                    "name": "Stand-in",
                    "version": "1",
                    "chainId": chain_id,
                    "verifyingContract": text(token.address),
                },
                "message": {
                    "owner": OWNER.address,
                    "spender": SPENDER.address,
                    "value": 70,
                    "nonce": nonce,
                    "deadline": deadline,
                },
            }
        )
    )
    s, recovery = (ORDER - signed.s, 55 - signed.v) if high else (signed.s, signed.v)
    return network.world.transact(
        SPENDER,
        token,
        "permit",
        address_of(OWNER),
        address_of(SPENDER),
        70,
        deadline,
        recovery if v is None else v,
        signed.r.to_bytes(32),
        s.to_bytes(32),
    )


def test_a_permit_is_an_approval_by_signature(network: Network, token: Contract) -> None:
    receipt = permit(network, token)
    assert token.events(receipt, "Approval") == [
        {"owner": text(address_of(OWNER)), "spender": text(address_of(SPENDER)), "value": 70}
    ]
    assert network.world.read(token, "nonces", address_of(OWNER)) == 1
    permit(network, token, nonce=1)
    assert network.world.read(token, "nonces", address_of(OWNER)) == 2


def test_a_permit_counts_once(network: Network, token: Contract) -> None:
    permit(network, token)
    with pytest.raises(Reverted, match="ERC20Permit: invalid signature"):
        permit(network, token)


def test_permits_that_are_not_the_owner_s_are_refused(network: Network, token: Contract) -> None:
    """Given another's signature, another chain's, one too late or the same one in its other form, then none counts."""
    with pytest.raises(Reverted, match="ERC20Permit: invalid signature"):
        permit(network, token, signer=SPENDER)
    with pytest.raises(Reverted, match="ERC20Permit: invalid signature"):
        permit(network, token, chain_id=CHAIN_ID + 1)
    with pytest.raises(Reverted, match="ERC20Permit: expired deadline"):
        permit(network, token, deadline=1)
    with pytest.raises(Reverted, match="ECDSA: invalid signature 's' value"):
        permit(network, token, high=True)
    with pytest.raises(Reverted, match="ECDSA: invalid signature"):
        permit(network, token, v=29)
    assert network.world.read(token, "nonces", address_of(OWNER)) == 0


def test_the_domain_is_this_chain_s_and_this_token_s(network: Network, token: Contract) -> None:
    kind = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    expected = keccak256(
        keccak256(kind)
        + keccak256(b"Stand-in")
        + keccak256(b"1")
        + CHAIN_ID.to_bytes(32)
        + token.address.rjust(32, b"\0")
    )
    assert network.world.read(token, "DOMAIN_SEPARATOR") == expected


# -- factory


def create(network: Network, *terms: object, name: str = "createOptimismMintableERC20") -> Contract:
    """A token of the factory. Raises Reverted."""
    receipt = network.world.transact(OWNER, FACTORY, name, *terms)
    (created,) = FACTORY.events(receipt, "OptimismMintableERC20Created")
    local = cast(str, created["localToken"])
    assert created == {
        "localToken": local,
        "remoteToken": text(cast(bytes, terms[0])),
        "deployer": text(address_of(OWNER)),
    }
    assert FACTORY.events(receipt, "StandardL2TokenCreated") == [
        {"remoteToken": created["remoteToken"], "localToken": local}
    ]
    return Contract(load("OptimismMintableERC20"), Address(bytes.fromhex(local[2:])))


@pytest.mark.parametrize(
    ("name", "more", "decimals"),
    [
        ("createStandardL2Token", (), 18),
        ("createOptimismMintableERC20", (), 18),
        ("createOptimismMintableERC20WithDecimals", (8,), 8),
    ],
)
def test_the_factory_makes_tokens_of_the_bridge(
    network: Network, name: str, more: tuple[int, ...], decimals: int
) -> None:
    made = create(network, REMOTE, "Näme", "SYM", *more, name=name)
    read = network.world.read
    assert [read(made, it) for it in ("name", "symbol", "decimals")] == ["Näme", "SYM", decimals]
    assert read(made, "bridge") == text(addresses.L2_STANDARD_BRIDGE)
    assert read(made, "remoteToken") == text(REMOTE)
    assert read(FACTORY, "deployments", made.address) == text(REMOTE)
    for getter in ("bridge", "BRIDGE"):
        assert read(FACTORY, getter) == text(addresses.L2_STANDARD_BRIDGE)


def test_the_address_is_that_of_the_terms(network: Network) -> None:
    """Given terms, then the address is CREATE2's of their hash, and the same terms are refused a second time."""
    made = create(network, REMOTE, "Name", "SYM")
    terms = (REMOTE, "Name", "SYM", 18)
    salt = keccak256(encode(["address", "string", "string", "uint8"], terms))
    kinds = ["address", "address", "string", "string", "uint8"]
    init = load("OptimismMintableERC20").init + encode(
        kinds, [addresses.L2_STANDARD_BRIDGE, *terms]
    )
    address = keccak256(b"\xff" + FACTORY.address + salt + keccak256(init))[12:]
    assert made.address == address
    with pytest.raises(Reverted):
        create(network, *terms, name="createOptimismMintableERC20WithDecimals")


def test_the_factory_needs_a_token_to_stand_for(network: Network) -> None:
    with pytest.raises(Reverted, match="must provide remote token address"):
        create(network, ZERO, "Name", "SYM")


@pytest.mark.parametrize(("name", "symbol"), [("n" * 65, "S"), ("N", "s" * 33)])
def test_names_beyond_the_bound_are_refused(network: Network, name: str, symbol: str) -> None:
    with pytest.raises(Reverted, match=r"^\(\)$"):
        create(network, REMOTE, name, symbol)


def test_names_at_the_bound_are_kept(network: Network) -> None:
    made = create(network, REMOTE, "n" * 64, "s" * 32)
    assert network.world.read(made, "name") == "n" * 64
    assert network.world.read(made, "symbol") == "s" * 32
