"""The same ground with web3.py, in an environment of its own: python web3_wallet.py RPC_URL WS_URL."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from eth_account import Account
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractLogicError, Web3RPCError

MNEMONIC = "test test test test test test test test test test test junk"


async def heads_over_the_socket(ws_url: str, count: int) -> list[int]:
    """Numbers of the next heads."""
    numbers: list[int] = []
    async with AsyncWeb3(WebSocketProvider(ws_url)) as w3:
        await w3.eth.subscribe("newHeads")
        async for message in w3.socket.process_subscriptions():
            numbers.append(message["result"]["number"])
            if len(numbers) == count:
                return numbers
    return numbers


def main(rpc_url: str, ws_url: str) -> None:
    """Transfer, deploy, call, log, revert, final."""
    notebook = json.loads((Path(__file__).parents[2] / "kit/contracts/Notebook.json").read_text())
    w3 = Web3(Web3.HTTPProvider(rpc_url))
    Account.enable_unaudited_hdwallet_features()
    sender = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/5")
    assert w3.is_connected()
    assert w3.eth.chain_id == 900

    def send(transaction: dict[str, object]) -> object:
        filled = {
            "from": sender.address,
            "chainId": 900,
            "nonce": w3.eth.get_transaction_count(sender.address, "pending"),
            "maxFeePerGas": 2 * w3.eth.gas_price,
            "maxPriorityFeePerGas": w3.eth.max_priority_fee,
        } | transaction
        filled.setdefault("gas", w3.eth.estimate_gas(filled))
        raw = sender.sign_transaction(filled).raw_transaction
        return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(raw), timeout=120)

    stranger = Account.create()
    receipt = send({"to": stranger.address, "value": w3.to_wei(3, "ether")})
    assert receipt["status"] == 1, receipt
    assert w3.eth.get_balance(stranger.address) == w3.to_wei(3, "ether")

    factory = w3.eth.contract(abi=notebook["abi"], bytecode=notebook["bytecode"])
    deployed = send(
        factory.constructor(21).build_transaction({"from": sender.address, "gas": 1_000_000})
    )
    contract = w3.eth.contract(deployed["contractAddress"], abi=notebook["abi"])
    assert contract.functions.number().call() == 21
    noted = send(
        contract.functions.note(22).build_transaction({"from": sender.address, "gas": 200_000})
    )
    [event] = contract.events.Noted().process_receipt(noted)
    assert event["args"] == {"writer": sender.address, "number": 22}
    [logged] = contract.events.Noted().get_logs(from_block=noted["blockNumber"])
    assert logged["transactionHash"] == noted["transactionHash"]
    try:
        contract.functions.refuse().call()
    except ContractLogicError as error:
        assert "the notebook is closed" in str(error)
    else:
        raise AssertionError("refuse() did not revert")
    try:
        w3.eth.send_raw_transaction("0x02c0")
    except Web3RPCError as error:
        assert error.rpc_response["error"]["code"] == -32000, error.rpc_response
    else:
        raise AssertionError("nonsense was accepted")
    heads = asyncio.run(asyncio.wait_for(heads_over_the_socket(ws_url, 2), timeout=120))
    assert heads == sorted(heads)
    print(json.dumps({"block": receipt["blockNumber"], "heads": heads}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
