// Wallet libraries that send on the L2 as they come, without options: node sends.mjs HTTP_URL WS_URL KEY OTHER_KEY
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { ethers } from 'ethers'
import { assert, rpcUrl, until, wsUrl } from './common.mjs'

const [key, otherKey] = process.argv.slice(4)
const chain = defineChain({
  id: 901, name: 'L2', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl] } },
})
const account = privateKeyToAccount(key)
const reader = createPublicClient({ chain, transport: http(rpcUrl, { batch: true }) })
const listener = createPublicClient({ chain, transport: webSocket(wsUrl) })
const wallet = createWalletClient({ account, chain, transport: http() })
const heads = []
const pending = new Set()
listener.watchBlockNumber({ onBlockNumber: (number) => heads.push(number), emitMissed: true })
listener.watchPendingTransactions({ onTransactions: (hashes) => hashes.forEach((hash) => pending.add(hash)) })
await listener.getChainId() // both subscriptions were asked for before

// A receipt is there when its send is answered
const to = '0x7777777777777777777777777777777777777777'
const sent = []
for (let count = 0; count < 5; count++) {
  const hash = await wallet.sendTransaction({ to, value: 1n })
  assert.equal((await reader.getTransactionReceipt({ hash })).status, 'success')
  sent.push(hash)
}

// Fifty sends of one account in one JSON-RPC batch
const first = await reader.getTransactionCount({ address: account.address })
const fees = await reader.estimateFeesPerGas()
const raws = await Promise.all([...Array(50).keys()].map((offset) =>
  wallet.signTransaction({ to, value: 1n, nonce: first + offset, gas: 21_000n, type: 'eip1559', ...fees })))
const hashes = await Promise.all(raws.map((serializedTransaction) => reader.sendRawTransaction({ serializedTransaction })))
const receipts = await Promise.all(hashes.map((hash) => reader.getTransactionReceipt({ hash })))
assert.deepEqual(receipts.map((receipt) => receipt.transactionHash), hashes)
assert.ok(new Set(receipts.map((receipt) => receipt.blockNumber)).size < 10)
sent.push(...hashes)

// Sent and received in one call (EIP-7966)
const synced = await wallet.sendTransactionSync({ to, value: 1n })
assert.equal(synced.status, 'success')
sent.push(synced.transactionHash)

// ethers, with nothing but a URL
const other = new ethers.Wallet(otherKey, new ethers.JsonRpcProvider(rpcUrl))
const mined = await (await other.sendTransaction({ to, value: 1n })).wait()
assert.equal(mined.status, 1)
sent.push(mined.hash)
assert.equal(await reader.getBalance({ address: to }), 57n)

// Subscribers have seen every block and every transaction
const head = await reader.getBlockNumber({ cacheTime: 0 })
await until('every block', () => heads.at(-1) === head)
await until('every transaction', () => sent.every((hash) => pending.has(hash)))
console.log(JSON.stringify({ blocks: Number(head), transactions: sent.length }))
process.exit(0)
