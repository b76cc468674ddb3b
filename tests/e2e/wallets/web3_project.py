"""A project of web3.py on either layer: python web3_project.py RPC_URL CHAIN_ID ARTIFACT; every type of transaction, errors decoded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from eth_account import Account
from web3 import Web3
from web3.exceptions import ContractCustomError

MNEMONIC = "test test test test test test test test test test test junk"
LIMIT = 10**18


def main(rpc_url: str, chain_id: int, artifact: Path) -> None:
    """Deploy, send each type, read events, expect a custom error."""
    compiled = json.loads(artifact.read_text())
    w3 = Web3(Web3.HTTPProvider(rpc_url))
    assert w3.eth.chain_id == chain_id
    Account.enable_unaudited_hdwallet_features()
    sender = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/7")

    def send(transaction: dict[str, object]) -> bytes:
        nonce = w3.eth.get_transaction_count(sender.address, "pending")
        filled = {"chainId": chain_id, "nonce": nonce}
        raw = sender.sign_transaction(transaction | filled).raw_transaction
        return w3.eth.send_raw_transaction(raw)

    def mined(transaction: bytes) -> dict[str, object]:
        receipt = w3.eth.wait_for_transaction_receipt(transaction, timeout=120)
        assert receipt["status"] == 1, receipt
        return receipt

    # Deploy, as the library fills a transaction in: EIP-1559, with gas estimated
    factory = w3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"]["object"])
    deployed = mined(send(factory.constructor(LIMIT).build_transaction({"from": sender.address})))
    box = w3.eth.contract(deployed["contractAddress"], abi=compiled["abi"])
    assert box.functions.LIMIT().call() == LIMIT
    number = w3.eth.get_block(deployed["blockNumber"])["number"]
    assert box.functions.chain().call(block_identifier=number)[:2] == [chain_id, number]

    # Every type of transaction, told by its receipt; all are sent before the first is waited for: one on L1 takes a slot
    price = w3.eth.gas_price
    access = w3.eth.create_access_list(
        {"from": sender.address, "to": box.address, "data": box.encode_abi("keep", ["listed"])}
    )["accessList"]
    fees = {"maxFeePerGas": 2 * price, "maxPriorityFeePerGas": w3.eth.max_priority_fee}
    kinds: list[tuple[int, dict[str, object]]] = [
        (0, {"gasPrice": price}),
        (1, {"gasPrice": price, "accessList": access, "type": 1}),
        (2, fees),
    ]
    sent: list[bytes] = []
    for kind, fields in kinds:
        call = box.functions.keep(f"type {kind}")
        asked = {"from": sender.address, "value": 3, "gas": 500_000} | fields
        sent.append(send(call.build_transaction(asked)))
    delegate = Account.create()
    authorization = delegate.sign_authorization(
        {"chainId": chain_id, "address": box.address, "nonce": 0}
    )
    data = box.encode_abi("keep", ["type 4"])
    delegated = {"to": box.address, "gas": 500_000, "value": 0, "data": data}
    sent.append(send(delegated | {"authorizationList": [authorization]} | fees))
    types = [*(kind for kind, _ in kinds), 4]
    for kind, transaction in zip(types, sent, strict=True):
        receipt = mined(transaction)
        assert receipt["type"] == kind, receipt
        [event] = box.events.Kept().process_receipt(receipt)
        assert event["args"]["memo"] == f"type {kind}"
    assert w3.eth.get_code(delegate.address).hex().endswith(box.address[2:].lower())

    # Events by filter, and a custom error with its arguments
    logs = box.events.Kept().get_logs(from_block=deployed["blockNumber"])
    assert [log["args"]["id"] for log in logs] == [0, 1, 2, 3]
    try:
        box.functions.keep("too much").call({"from": sender.address, "value": 2 * LIMIT})
    except ContractCustomError as error:
        selector = Web3.keccak(text="AboveLimit(uint256,uint256)")[:4].hex()
        assert error.data == f"0x{selector}{2 * LIMIT:064x}{LIMIT:064x}", error.data
    else:
        raise AssertionError("2 ether were kept, above the limit")
    assert w3.eth.get_balance(box.address) == 9
    print(json.dumps({"types": types}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
