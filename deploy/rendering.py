"""What commands print about a network: addresses, accounts, contracts, as text for people and for other tools."""

from __future__ import annotations

from deploy.network import Network
from deploy.published import L1_CHAIN_ID, published_contracts

DISPLAY_DECIMALS = 18
"""Decimals of ETH."""


def announcement(network: Network) -> str:
    """What `up` prints once the devnet is ready: where, who, which contracts, where the data lies."""
    manifest = network.manifest.network
    first, *others = [network.rpc_url(plan) for plan in network.processes()]
    lines = [
        f"{manifest.name} is ready ({manifest.validators} validators in "
        f"{manifest.validator_processes} processes, slots of {manifest.slot_seconds} s).",
        "",
        "JSON-RPC (HTTP and WebSocket)",
        f"  L1, chain id {L1_CHAIN_ID}: {first}",
        *(f"  {'':>17} {url}" for url in others),
        "",
        "Funded accounts, 10,000 ETH each (their keys are public: never use them elsewhere)",
        *accounts_lines(network),
        "",
        "Contracts on L1",
        *(f"  {contract.name:<22} {contract.address}" for contract in published_contracts()),
        "",
        f"Data  {network.layout.data}",
        f"Logs  {network.layout.logs}",
    ]
    return "\n".join(lines)


def accounts_lines(network: Network) -> list[str]:
    """One line for each funded account."""
    return [
        f"  ({index}) {account.address}  {account.private_key}"
        for index, account in enumerate(network.accounts)
    ]


def addresses_table(network: Network) -> str:
    """RPC addresses and contracts for people."""
    lines = [f"L1, chain id {L1_CHAIN_ID}"]
    lines += [f"  {plan.name:<22} {network.rpc_url(plan)}" for plan in network.processes()]
    lines += [f"  {contract.name:<22} {contract.address}" for contract in published_contracts()]
    return "\n".join(lines)


def addresses_env(network: Network) -> str:
    """RPC address and contracts as shell variables."""
    lines = [f"L1_RPC_URL={network.rpc_url(network.processes()[0])}", f"L1_CHAIN_ID={L1_CHAIN_ID}"]
    for contract in published_contracts():
        name = "".join(f"_{letter}" if letter.isupper() else letter for letter in contract.name)
        lines.append(f"L1_{name.upper()}_ADDRESS={contract.address}")
    return "\n".join(lines)


def addresses_viem(network: Network) -> str:
    """The chain as viem takes it, a module of JavaScript."""
    url = network.rpc_url(network.processes()[0])
    socket_url = "ws" + url.removeprefix("http")
    contracts = [
        f"    {contract.name}: {{ address: '{contract.address}' }},"
        for contract in published_contracts()
    ]
    return "\n".join(
        [
            "import { defineChain } from 'viem'",
            "",
            "export const faultlineL1 = defineChain({",
            f"  id: {L1_CHAIN_ID},",
            f"  name: 'Faultline L1 ({network.manifest.network.name})',",
            f"  nativeCurrency: {{ name: 'Ether', symbol: 'ETH', decimals: {DISPLAY_DECIMALS} }},",
            f"  rpcUrls: {{ default: {{ http: ['{url}'], webSocket: ['{socket_url}'] }} }},",
            "  contracts: {",
            *contracts,
            "  },",
            "  testnet: true,",
            "})",
        ]
    )
