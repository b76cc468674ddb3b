// An ethers user sends blobs in the form of EIP-7594: node ethers_blobs.mjs RPC_URL WS_URL
import { HDNodeWallet, JsonRpcProvider, Wallet, hexlify, parseUnits } from 'ethers'
import { assert, mnemonic, rpcUrl, until } from './common.mjs'
import { cellProofs, constantBlob, kzg } from './blobs.mjs'

const provider = new JsonRpcProvider(rpcUrl, undefined, { polling: true, pollingInterval: 250 })
const rich = HDNodeWallet.fromPhrase(mnemonic, undefined, "m/44'/60'/0'/0/8").connect(provider)
const account = Wallet.createRandom().connect(provider)
await (await rich.sendTransaction({ to: account.address, value: 10n ** 18n })).wait(1, 120_000)

const data = constantBlob(9)
const request = {
  type: 3, to: rich.address, value: 1n, gasLimit: 21_000, maxFeePerBlobGas: parseUnits('1', 'gwei'),
  blobWrapperVersion: 1,
  blobs: [{ data, commitment: hexlify(kzg.blobToKzgCommitment(data)), proof: hexlify(cellProofs()) }],
}
const sent = await account.sendTransaction(request)
const receipt = await until('the blob transaction', () => provider.getTransactionReceipt(sent.hash))
assert.equal(receipt.status, 1)
assert.equal(receipt.type, 3)
assert.equal(receipt.blobGasUsed, 131_072n)
assert.ok(receipt.blobGasPrice >= 1n)
const found = await provider.getTransaction(sent.hash)
assert.equal(found.blobVersionedHashes.length, 1)
assert.equal(found.maxFeePerBlobGas, parseUnits('1', 'gwei'))
const block = await provider.getBlock(receipt.blockNumber)
assert.ok(block.blobGasUsed >= 131_072n)
assert.equal(typeof block.excessBlobGas, 'bigint')

// A block's own form alone is refused in geth's words
const bare = await account.populateTransaction({ ...request, nonce: 1, blobs: undefined, blobVersionedHashes: found.blobVersionedHashes })
await assert.rejects(
  provider.send('eth_sendRawTransaction', [await account.signTransaction(bare)]),
  (error) => JSON.stringify(error).includes('missing sidecar in blob transaction'),
)
provider.destroy()
console.log(JSON.stringify({ hash: sent.hash, block: receipt.blockNumber }))
