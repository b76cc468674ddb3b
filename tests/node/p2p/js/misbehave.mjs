// Peers of another implementation that do harm, each in its own way: node misbehave.mjs RPC_URL ADDRESS...
// Each goes on until every process has cut it off, then knocks again; what came of it is printed.
import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { ask, atGenesis, connect, createPeer, gossip, namesOf, rpc, until } from './peer.mjs'
import { bytesOf, decodeCbor, encodeCbor, encodeStatus, framed, join, openPayload } from './wire.mjs'

const [url, ...addresses] = process.argv.slice(2)
const genesisHash = bytesOf((await rpc(url, 'eth_getBlockByNumber', '0x0', false)).hash)
const names = namesOf(genesisHash)
const honest = atGenesis(genesisHash)
const TOPICS = ['l1.block', 'l1.vote', 'l1.evidence', 'l1.tx']
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const ignore = () => {}

/** Write bytes to a fresh stream of each connection, and leave it open. */
async function write(node, protocol, message) {
  await Promise.all(node.getConnections().map(async (connection) => {
    const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(10_000) })
    stream.send(message)
  }))
}

/** Questions to each connection, all at once. */
async function flood(node, kind, question, count) {
  const asked = node.getConnections().flatMap((connection) =>
    Array.from({ length: count }, () => ask(connection, names.protocol(kind), question).catch(ignore)))
  await Promise.all(asked)
}

/** The newest vote message that honest processes gossiped, each for a block that nobody has: what was signed is another. */
function forgedVotes(node) {
  const votes = decodeCbor(node.newestVotes)
  for (const vote of votes) vote[2] = randomBytes(32)
  return encodeCbor(votes)
}

/** Remember what is gossiped, to have something to forge. */
function listen(node) {
  node.services.pubsub.addEventListener('message', ({ detail }) => {
    if (detail.topic === names.topic('l1.vote')) node.newestVotes = openPayload(detail.data).message
  })
}

// What each does again and again; a status is what it says when it connects, and what it answers
const MANNERS = {
  'garbage gossip': { act: (node) => Promise.all(TOPICS.map((topic) =>
    gossip(node, names.topic(topic), randomBytes(500)))) },
  'forged votes': { prepare: listen, act: (node) => gossip(node, names.topic('l1.vote'), forgedVotes(node)) },
  'oversized question': { act: (node) => write(node, names.protocol('blocks_by_range'), join([0xff, 0xff, 0xff, 0xff], randomBytes(1_000))) },
  'oversized gossip': { act: (node) => write(node, '/meshsub/1.1.0', join([0xff, 0xff, 0xff, 0x7f], randomBytes(100_000))) },
  'garbage gossip frame': { act: (node) => write(node, '/meshsub/1.1.0', join([100], randomBytes(100))) },
  'flood of questions': { act: (node) => flood(node, 'blocks_by_range', encodeCbor([1, 1]), 64) },
  'garbage questions': { act: (node) => flood(node, 'blocks_by_root', randomBytes(40), 1) },
  'garbage status': { act: (node) => flood(node, 'status', randomBytes(150), 1) },
  'status of another network': { act: (node) => flood(node, 'status', encodeStatus(atGenesis(randomBytes(32))), 1) },
  'announced and never sent': { prepare: silence, act: async (node) => {
    await gossip(node, names.topic('l1.tx'), announcement())
    await pause(200)
  } },
  'junk for blocks': { status: { ...honest, headHash: randomBytes(32), headNumber: 3, headSlot: 4 }, prepare: junkForBlocks, act: ignore },
}

/** Answers what the claim of a head makes them ask for. */
async function junkForBlocks(node) {
  for (const kind of ['blocks_by_root', 'blocks_by_range']) {
    await node.handle(names.protocol(kind), async (stream) => {
      stream.send(framed(encodeCbor([randomBytes(1_000)])))
      await stream.close()
    })
  }
}

/** Announces transactions that it does not have, and is silent when it is asked for them. */
async function silence(node) {
  await node.handle(names.protocol('transactions'), ignore)
}

const announcement = () => encodeCbor([[], Array.from({ length: 16 }, () => randomBytes(32))])

/** Whether a process takes a peer in again: dialled, it must be cut off before it may ask. */
async function isRefused(node, address) {
  try {
    const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(5_000) })
    await ask(connection, names.protocol('status'), encodeStatus(honest))
    return false
  } catch {
    return true
  }
}

async function misbehave(manner, { status = honest, prepare = ignore, act }) {
  const node = await createPeer()
  const cutOff = new Map()
  let begun = Date.now()
  try {
    for (const topic of TOPICS) node.services.pubsub.subscribe(names.topic(topic))
    await prepare(node)
    node.addEventListener('peer:disconnect', ({ detail }) => {
      const address = addresses.find((address) => address.endsWith(detail.toString()))
      if (!cutOff.has(address)) cutOff.set(address, { afterMs: Date.now() - begun, refused: isRefused(node, address) })
    })
    for (const address of addresses) await connect(node, address, names, status).catch(ignore)
    begun = Date.now()
    await until(`every process to cut off ${manner}`, async () => {
      await Promise.resolve().then(() => act(node)).catch(ignore)
      await pause(20)
      return cutOff.size === addresses.length
    })
    const refused = await Promise.all([...cutOff.values()].map(({ refused }) => refused))
    return { afterMs: [...cutOff.values()].map(({ afterMs }) => afterMs), refused: refused.filter(Boolean).length }
  } finally {
    await node.stop()
  }
}

// One after the other: ten at once would make every process of a small machine late, and late is not banned
const found = {}
for (const [manner, how] of Object.entries(MANNERS)) {
  if (process.env.MANNER && manner !== process.env.MANNER) continue
  found[manner] = await misbehave(manner, how)
}
console.log(JSON.stringify(found))
process.exit(0)
