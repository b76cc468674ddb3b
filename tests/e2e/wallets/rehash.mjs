// Headers, transactions and receipts hashed again from what JSON-RPC tells of them, with nothing but keccak and RLP.
import { bytesToHex, concatHex, hexToBytes, keccak256, numberToHex, toHex, toRlp } from 'viem'
import { assert } from './common.mjs'

const quantity = (value) => (BigInt(value) === 0n ? '0x' : toHex(BigInt(value)))

export function headerHash(block) {
  return keccak256(toRlp([
    block.parentHash, block.sha3Uncles, block.miner, block.stateRoot, block.transactionsRoot, block.receiptsRoot,
    block.logsBloom, quantity(block.difficulty), quantity(block.number), quantity(block.gasLimit),
    quantity(block.gasUsed), quantity(block.timestamp), block.extraData, block.mixHash, block.nonce,
    quantity(block.baseFeePerGas), block.withdrawalsRoot, quantity(block.blobGasUsed), quantity(block.excessBlobGas),
    block.parentBeaconBlockRoot, block.requestsHash,
  ]))
}

function compact(nibbles, leaf) {
  const odd = nibbles.length % 2
  const flagged = odd ? [2 * leaf + 1, ...nibbles] : [2 * leaf, 0, ...nibbles]
  return bytesToHex(Uint8Array.from({ length: flagged.length / 2 }, (_, i) => 16 * flagged[2 * i] + flagged[2 * i + 1]))
}

function node(entries, depth) {
  if (entries.length === 1) return [compact(entries[0].path.slice(depth), 1), entries[0].value]
  let shared = depth
  while (entries.every((entry) => entry.path[shared] === entries[0].path[shared])) shared++
  if (shared > depth) return [compact(entries[0].path.slice(depth, shared), 0), reference(node(entries, shared))]
  const children = Array.from({ length: 16 }, (_, nibble) => {
    const below = entries.filter((entry) => entry.path[depth] === nibble)
    return below.length ? reference(node(below, depth + 1)) : '0x'
  })
  return [...children, '0x']
}

function reference(content) {
  const encoded = toRlp(content)
  return hexToBytes(encoded).length < 32 ? content : keccak256(encoded)
}

// Root of the trie that maps rlp(index) to each value.
export function trieRoot(values) {
  if (!values.length) return keccak256('0x80')
  const entries = values.map((value, index) => ({
    path: [...hexToBytes(toRlp(index ? toHex(index) : '0x'))].flatMap((byte) => [byte >> 4, byte & 15]), value,
  }))
  return keccak256(toRlp(node(entries, 0)))
}

export function encodeReceipt(receipt) {
  const fields = [
    quantity(receipt.status), quantity(receipt.cumulativeGasUsed), receipt.logsBloom,
    receipt.logs.map((log) => [log.address, log.topics, log.data]),
  ]
  if (receipt.type === '0x7e') fields.push(quantity(receipt.depositNonce), quantity(receipt.depositReceiptVersion))
  return receipt.type === '0x0' ? toRlp(fields) : concatHex([numberToHex(Number(receipt.type), { size: 1 }), toRlp(fields)])
}

// Every block up to the head: its header, its receipts and its raw transactions hash to what it says.
export async function rehashChain(client) {
  const tip = await client.getBlockNumber()
  let parentHash
  for (let number = 0n; number <= tip; number++) {
    const at = numberToHex(number)
    const block = await client.request({ method: 'eth_getBlockByNumber', params: [at, false] })
    assert.equal(headerHash(block), block.hash, `header ${number}`)
    if (parentHash) assert.equal(block.parentHash, parentHash)
    parentHash = block.hash
    const receipts = await client.request({ method: 'eth_getBlockReceipts', params: [at] })
    assert.equal(trieRoot(receipts.map(encodeReceipt)), block.receiptsRoot, `receipts of block ${number}`)
    const raws = []
    for (const hash of block.transactions) {
      const raw = await client.request({ method: 'debug_getRawTransaction', params: [hash] })
      assert.equal(keccak256(raw), hash)
      raws.push(raw)
    }
    assert.equal(trieRoot(raws), block.transactionsRoot, `transactions of block ${number}`)
  }
  return tip
}
