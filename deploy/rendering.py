"""What commands print about a network: addresses, accounts, contracts, as text for people and for other tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deploy.network import Network
from deploy.published import (
    CHAIN_IDS,
    L1_CHAIN_ID,
    L1_ROLLUP_CONTRACTS,
    Layer,
    checksummed,
    contracts,
)

DISPLAY_DECIMALS: Final = 18
"""Decimals of ETH."""

NAME_WIDTH: Final = 28
"""Of the longest name of a contract."""

_TITLES: Final[Mapping[Layer, str]] = {"l1": "L1", "l2": "L2"}


def announcement(network: Network) -> str:
    """What `up` prints once the devnet is ready: where, who, which contracts, where the data lies."""
    manifest = network.manifest.network
    return "\n".join(
        [
            f"{manifest.name} is ready ({manifest.validators} validators in "
            f"{manifest.validator_processes} processes, slots of {manifest.slot_seconds} s).",
            "",
            *facts(network),
            "",
            f"Data  {network.layout.data}",
            f"Logs  {network.layout.logs}",
        ]
    )


def facts(network: Network) -> list[str]:
    """What stays the same: where, who, which contracts."""
    return [
        "JSON-RPC (HTTP and WebSocket)",
        *_rpc_lines(network),
        "",
        f"Funded accounts, 10,000 ETH each{_where(network)} "
        "(their keys are public: never use them elsewhere)",
        *accounts_lines(network),
        *_contract_lines(network),
    ]


def accounts_lines(network: Network) -> list[str]:
    """One line for each funded account."""
    return [
        f"  ({index}) {account.address}  {account.private_key}"
        for index, account in enumerate(network.accounts)
    ]


def addresses_table(network: Network) -> str:
    """RPC addresses and contracts for people."""
    lines = []
    for layer in layers(network):
        lines.append(f"{_TITLES[layer]}, chain id {CHAIN_IDS[layer]}")
        lines += [
            f"  {plan.name:<{NAME_WIDTH}} {network.shown_rpc_url(plan)}"
            for plan in network.of_layer(layer)
        ]
        lines += [
            f"  {name:<{NAME_WIDTH}} {address}" for name, address in _contracts(network, layer)
        ]
    return "\n".join(lines)


def addresses_env(network: Network) -> str:
    """RPC addresses and contracts as shell variables."""
    lines = []
    for layer in layers(network):
        prefix = layer.upper()
        lines.append(f"{prefix}_RPC_URL={_first_url(network, layer)}")
        lines.append(f"{prefix}_CHAIN_ID={CHAIN_IDS[layer]}")
        lines += [
            f"{prefix}_{_constant_case(name)}_ADDRESS={address}"
            for name, address in _contracts(network, layer)
        ]
    return "\n".join(lines)


def addresses_viem(network: Network) -> str:
    """The chains as viem takes them, a module of JavaScript."""
    lines = ["import { defineChain } from 'viem'"]
    if "l2" in layers(network):
        lines.append("import { chainConfig } from 'viem/op-stack'")
    for layer in layers(network):
        lines += ["", *_viem_chain(network, layer)]
    return "\n".join(lines)


def layers(network: Network) -> list[Layer]:
    """The chains that a network has."""
    return ["l1", "l2"] if network.manifest.l2.enabled else ["l1"]


def _viem_chain(network: Network, layer: Layer) -> list[str]:
    url = _first_url(network, layer)
    title = _TITLES[layer]
    own = [
        f"    {name}: {{ address: '{address}' }}," for name, address in _contracts(network, layer)
    ]
    # viem looks for news twice a block, or every four seconds where it does not know how long one takes; chainConfig says it of an L2.
    first = [f"  blockTime: {network.manifest.network.slot_seconds * 1_000},"]
    further = []
    if layer == "l2":
        # viem's op-stack actions look up L1's contracts in the L2's chain object, by L1's chain id.
        first = ["  ...chainConfig,"]
        own = [
            "    ...chainConfig.contracts,",
            *own,
            *(
                f"    {name}: {{ {L1_CHAIN_ID}: {{ address: '{checksummed(address)}' }} }},"
                for name, address in L1_ROLLUP_CONTRACTS.items()
            ),
        ]
        further = [f"  sourceId: {L1_CHAIN_ID},"]
    return [
        f"export const faultline{title} = defineChain({{",
        *first,
        f"  id: {CHAIN_IDS[layer]},",
        f"  name: 'Faultline {title} ({network.manifest.network.name})',",
        f"  nativeCurrency: {{ name: 'Ether', symbol: 'ETH', decimals: {DISPLAY_DECIMALS} }},",
        f"  rpcUrls: {{ default: {{ http: ['{url}'], webSocket: ['{_socket_url(url)}'] }} }},",
        "  contracts: {",
        *own,
        "  },",
        *further,
        "  testnet: true,",
        "})",
    ]


def _rpc_lines(network: Network) -> list[str]:
    lines = []
    for layer in layers(network):
        heading = f"{_TITLES[layer]}, chain id {CHAIN_IDS[layer]}:"
        for plan in network.of_layer(layer):
            lines.append(f"  {heading:<17} {network.shown_rpc_url(plan)}  {plan.name}")
            heading = ""
    return lines


def _contract_lines(network: Network) -> list[str]:
    lines = []
    for layer in layers(network):
        lines += ["", f"Contracts on {_TITLES[layer]}"]
        lines += [
            f"  {name:<{NAME_WIDTH}} {address}" for name, address in _contracts(network, layer)
        ]
    return lines


def _where(network: Network) -> str:
    return " on both chains" if network.manifest.l2.enabled else ""


def _contracts(network: Network, layer: Layer) -> list[tuple[str, str]]:
    return list(contracts(with_l2=network.manifest.l2.enabled)[layer].items())


def _first_url(network: Network, layer: Layer) -> str:
    return network.shown_rpc_url(network.of_layer(layer)[0])


def _socket_url(url: str) -> str:
    return "ws" + url.removeprefix("http")


def _constant_case(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).upper()
