// A peer of another implementation that follows the L1: node follow.mjs RPC_URL ADDRESS...
// It downloads the chain by ranges, then reads blocks and votes as they are gossiped, and checks all it can of both.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { ask, atGenesis, connect, createPeer, namesOf, rpc, until } from './peer.mjs'
import { bytesOf, decodeCbor, encodeCbor, hex, keccak, openEnvelope, openPayload, openVotes, same } from './wire.mjs'

const [url, ...addresses] = process.argv.slice(2)
const BLOCKS_WANTED = 2
const VOTES_WANTED = 8
const genesisHash = bytesOf((await rpc(url, 'eth_getBlockByNumber', '0x0', false)).hash)
const { validators } = await rpc(url, 'devnet_consensus')
const chain = { chainId: 900, genesisHash, keys: validators.map(({ publicKey }) => bytesOf(publicKey)) }
const names = namesOf(genesisHash)
const node = await createPeer()
const { pubsub } = node.services

// Gossip is heard from the start, so that nothing is missed between the ranges and the head
const heard = new Map([['l1.block', []], ['l1.vote', []], ['l1.tx', []]])
pubsub.addEventListener('message', ({ detail }) => {
  const topic = [...heard.keys()].find((name) => names.topic(name) === detail.topic)
  heard.get(topic)?.push({ payload: detail.data, from: detail.from.toString() })
})
for (const topic of heard.keys()) pubsub.subscribe(names.topic(topic))

// Every process that we are told of is a peer
const peers = []
for (const address of addresses) peers.push(await connect(node, address, names, atGenesis(genesisHash)))
for (const { theirs } of peers) assert.deepEqual(theirs.genesisHash, genesisHash)
const identified = await until('identification', async () => {
  const known = await node.peerStore.get(peers[0].connection.remotePeer)
  return known.protocols.includes(names.protocol('blocks_by_range')) ? known.protocols : undefined
})

// The chain by ranges, one peer after the other, to the highest head that anybody claims
const blocks = new Map()
let tip = { hash: genesisHash, number: 0 }
const goal = Math.max(...peers.map(({ theirs }) => theirs.headNumber))
for (let turn = 0; tip.number < goal; turn++) {
  const { connection } = peers[turn % peers.length]
  const answer = await ask(connection, names.protocol('blocks_by_range'), encodeCbor([tip.number + 1, 64]))
  const envelopes = decodeCbor(answer)
  assert.ok(envelopes.length > 0 || turn < 100, 'nobody has the blocks that were claimed')
  for (const envelope of envelopes) {
    const block = openEnvelope(envelope, chain)
    assert.deepEqual(block.parentHash, tip.hash)
    assert.equal(block.number, tip.number + 1)
    blocks.set(hex(block.hash), block)
    tip = block
  }
}
const ranged = tip.number

// The same block by its root, with an ancestor
const [below, top] = decodeCbor(await ask(peers[0].connection, names.protocol('blocks_by_root'), encodeCbor([tip.hash, 2])))
  .map((envelope) => openEnvelope(envelope, chain))
assert.deepEqual(top.hash, tip.hash)
assert.deepEqual(below.hash, tip.parentHash)

/** A message as it was gossiped, or fetched where only its hash was. */
async function messageOf({ payload, from }) {
  const { message, hash, length } = openPayload(payload)
  if (message) return message
  const connection = node.getConnections().find(({ remotePeer }) => remotePeer.toString() === from)
  const body = await ask(connection, names.protocol('body'), hash, { raw: true })
  assert.ok(body.length === length && same(createHash('sha256').update(body).digest(), hash))
  return body
}

// Blocks as they are made
const gossiped = []
while (gossiped.length < BLOCKS_WANTED) {
  const next = await until('a block by gossip', () => heard.get('l1.block').shift())
  const block = openEnvelope(await messageOf(next), chain)
  blocks.set(hex(block.hash), block)
  gossiped.push(block)
}

// Votes as they are cast, for blocks that we know
const votes = []
while (votes.length < VOTES_WANTED) {
  const next = await until('votes by gossip', () => heard.get('l1.vote').shift())
  votes.push(...openVotes(await messageOf(next), chain))
}
assert.ok(votes.some(({ head }) => blocks.has(hex(head))), 'votes for blocks that nobody showed us')

// A transaction on its way to a block: it is gossiped before it is mined
const sent = process.env.RAW_TRANSACTION
if (sent) {
  const transaction = bytesOf(sent)
  await rpc(url, 'eth_sendRawTransaction', sent)
  await until('the transaction by gossip', async () => {
    const next = heard.get('l1.tx').shift()
    return next && decodeCbor(await messageOf(next))[0].some((raw) => same(raw, transaction))
  })
  const receipt = await until('its receipt', () => rpc(url, 'eth_getTransactionReceipt', hex(keccak(transaction))))
  assert.equal(receipt.status, '0x1')
}

// JSON-RPC tells the same blocks
for (const block of [tip, ...gossiped]) {
  const told = await until('the block by JSON-RPC', () => rpc(url, 'eth_getBlockByHash', hex(block.hash), false))
  assert.equal(Number(told.number), block.number)
}
assert.equal(node.getConnections().length, addresses.length, 'somebody cut us off')
console.log(JSON.stringify({ protocols: identified.length, ranged, gossiped: gossiped.length, votes: votes.length }))
process.exit(0)
