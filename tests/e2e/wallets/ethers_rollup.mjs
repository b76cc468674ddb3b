// The L2's headers, transactions and receipts as ethers v6 hashes them: node ethers_rollup.mjs L2_URL REPLICA_URL PORTAL
import { JsonRpcProvider, Transaction, encodeRlp, keccak256 } from 'ethers'
import { assert } from './common.mjs'
import { rehasher } from './rehash.mjs'

const [, , l2Url, replicaUrl] = process.argv
const tips = []
for (const url of [l2Url, replicaUrl]) {
  const provider = new JsonRpcProvider(url, undefined, { batchMaxCount: 1 })
  assert.equal((await provider.getNetwork()).chainId, 901n)
  const request = (method, params) => provider.send(method, params)
  const { rehashChain } = rehasher({ keccak256, encodeRlp, request })
  tips.push(await rehashChain())

  // What ethers reads as an object is what was signed
  const block = await provider.getBlock('safe', true)
  for (const found of block.prefetchedTransactions) {
    if (found.type === 0x7e) continue // ethers has no such type; its receipt and bytes were hashed above
    assert.equal(Transaction.from(found).hash, found.hash)
  }
  provider.destroy()
}
assert.ok(Math.min(...tips) > 0)
console.log(JSON.stringify({ tips }))
process.exit(0)
