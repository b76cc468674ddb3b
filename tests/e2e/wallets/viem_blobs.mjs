// A viem user sends blobs: node viem_blobs.mjs RPC_URL WS_URL
import { createPublicClient, createWalletClient, defineChain, http, parseGwei, bytesToHex } from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import { assert, mnemonic, rpcUrl } from './common.mjs'
import { constantBlob, kzg } from './blobs.mjs'

const chain = defineChain({
  id: 900, name: 'Faultline L1', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl] } },
})
// The first blob in the older form, which viem sends, makes a process load the trusted setup: a second and a half of a busy core
const transport = http(undefined, { timeout: 120_000 })
const client = createPublicClient({ chain, transport, pollingInterval: 250 })
const receiptOf = (hash) => client.waitForTransactionReceipt({ hash, timeout: 120_000 })
const rich = createWalletClient({ account: mnemonicToAccount(mnemonic, { addressIndex: 7 }), chain, transport })

// An account of its own: blobs and other transactions of one account do not mix while they wait
const account = privateKeyToAccount(generatePrivateKey())
await receiptOf(await rich.sendTransaction({ to: account.address, value: 10n ** 18n }))
const wallet = createWalletClient({ account, chain, transport })
const blobs = [constantBlob(3), constantBlob(5)]
const hash = await wallet.sendTransaction({
  blobs, kzg, to: rich.account.address, value: 1n, maxFeePerBlobGas: parseGwei('1'),
})
const receipt = await receiptOf(hash)
assert.equal(receipt.status, 'success')
assert.equal(receipt.type, 'eip4844')
assert.equal(receipt.blobGasUsed, 2n * 131_072n)
assert.ok(receipt.blobGasPrice >= 1n)

const sent = await client.getTransaction({ hash })
assert.equal(sent.type, 'eip4844')
assert.equal(sent.maxFeePerBlobGas, parseGwei('1'))
assert.equal(sent.blobVersionedHashes.length, 2)
const block = await client.getBlock({ blockHash: receipt.blockHash })
assert.ok(block.blobGasUsed >= 2n * 131_072n)
assert.equal(typeof block.excessBlobGas, 'bigint')
assert.ok((await client.getBlobBaseFee()) >= 1n)
const number = `0x${block.number.toString(16)}`
const history = await client.request({ method: 'eth_feeHistory', params: ['0x1', number, []] })
assert.equal(history.blobGasUsedRatio[0], Number(block.blobGasUsed) / (21 * 131_072))
assert.equal(history.baseFeePerBlobGas.length, 2)

// What no method of Ethereum's own gives
const found = await client.request({ method: 'eth_getBlobSidecarByTxHash', params: [hash] })
assert.deepEqual(found.blobSidecar.blobs, blobs.map((blob) => bytesToHex(blob)))
assert.equal(found.blobSidecar.proofs.length, 256)
const listed = await client.request({ method: 'eth_getBlobSidecars', params: [number, false] })
const ours = listed.find((one) => one.txHash === hash)
assert.deepEqual(ours.blobSidecar.commitments, blobs.map((blob) => bytesToHex(kzg.blobToKzgCommitment(blob))))
assert.equal(ours.blobSidecar.blobs[0].length, 66)
console.log(JSON.stringify({ hash, block: number }))
