// Headers, transactions and receipts hashed again from what JSON-RPC tells of them, with nothing but keccak and RLP.
//
//   const { rehashChain } = rehasher({ keccak256, encodeRlp, request })
//   keccak256: hex -> hex;  encodeRlp: nested arrays of hex -> hex;  request(method, params): one JSON-RPC call
import { assert } from './common.mjs'

const even = (digits) => (digits.length % 2 ? `0${digits}` : digits)
const hexOf = (value) => `0x${even(BigInt(value).toString(16))}`
const quantity = (value) => (BigInt(value) === 0n ? '0x' : hexOf(value))
const bytesOf = (hex) => [...Buffer.from(hex.slice(2), 'hex')]

export function rehasher({ keccak256, encodeRlp, request }) {
  function headerHash(block) {
    return keccak256(encodeRlp([
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
    return `0x${flagged.map((nibble) => nibble.toString(16)).join('')}`
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
    const encoded = encodeRlp(content)
    return bytesOf(encoded).length < 32 ? content : keccak256(encoded)
  }

  // Root of the trie that maps rlp(index) to each value.
  function trieRoot(values) {
    if (!values.length) return keccak256('0x80')
    const entries = values.map((value, index) => ({
      path: bytesOf(encodeRlp(quantity(index))).flatMap((byte) => [byte >> 4, byte & 15]), value,
    }))
    return keccak256(encodeRlp(node(entries, 0)))
  }

  function encodeReceipt(receipt) {
    const fields = [
      quantity(receipt.status), quantity(receipt.cumulativeGasUsed), receipt.logsBloom,
      receipt.logs.map((log) => [log.address, log.topics, log.data]),
    ]
    if (receipt.type === '0x7e') fields.push(quantity(receipt.depositNonce), quantity(receipt.depositReceiptVersion))
    return receipt.type === '0x0' ? encodeRlp(fields) : `${hexOf(receipt.type)}${encodeRlp(fields).slice(2)}`
  }

  // Every block up to the head: its header, its receipts and its raw transactions hash to what it says.
  async function rehashChain() {
    const tip = Number(await request('eth_blockNumber', []))
    let parentHash
    for (let number = 0; number <= tip; number++) {
      const at = `0x${number.toString(16)}`
      const block = await request('eth_getBlockByNumber', [at, false])
      assert.equal(headerHash(block), block.hash, `header ${number}`)
      if (parentHash) assert.equal(block.parentHash, parentHash)
      parentHash = block.hash
      const receipts = await request('eth_getBlockReceipts', [at])
      assert.equal(receipts.length, block.transactions.length)
      assert.equal(trieRoot(receipts.map(encodeReceipt)), block.receiptsRoot, `receipts of block ${number}`)
      const raws = []
      for (const hash of block.transactions) {
        const raw = await request('debug_getRawTransaction', [hash])
        assert.equal(keccak256(raw), hash)
        raws.push(raw)
      }
      assert.equal(trieRoot(raws), block.transactionsRoot, `transactions of block ${number}`)
    }
    return tip
  }

  return { headerHash, trieRoot, encodeReceipt, rehashChain }
}
