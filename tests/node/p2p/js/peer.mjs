// A peer of Faultline made of js-libp2p: how it connects, asks, answers and gossips. What the bytes mean is wire.mjs.
import './node20.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { decodeStatus, encodeStatus, framed, inline, join } from './wire.mjs'

export const bytes = (text) => new TextEncoder().encode(text)

/** A libp2p host that speaks what Faultline speaks: TCP, noise, yamux, identify, ping, gossipsub 1.1. */
export const createPeer = () => createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({ allowPublishToZeroTopicPeers: true, globalSignaturePolicy: 'StrictSign' }),
  },
})

/** One network's names. */
export const namesOf = (genesisHash) => {
  const prefix = `/faultline/${Buffer.from(genesisHash).subarray(0, 4).toString('hex')}`
  return { topic: (name) => `${prefix}/${name}`, protocol: (kind) => `${prefix}/${kind}/1` }
}

async function readFramed(stream, lengthMax = 1 << 24) {
  let read = new Uint8Array()
  for await (const part of stream) {
    read = join(read, part.subarray())
    const length = read.length < 4 ? Infinity : Buffer.from(read).readUInt32BE(0)
    if (Number.isFinite(length) && length > lengthMax) throw new Error(`an answer of ${length} bytes`)
    if (read.length >= 4 + length) return read.subarray(4, 4 + length)
  }
  throw new Error('the stream ended early')
}

/** One question, one answer: a stream of its own. */
export async function ask(connection, protocol, question, { raw = false } = {}) {
  const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(10_000) })
  try {
    stream.send(raw ? question : framed(question))
    stream.close().catch(() => {})
    return await readFramed(stream)
  } finally {
    stream.abort(new Error('done'))
  }
}

/** Connect, tell our status and answer with it when we are asked: a peer that has nothing yet. */
export async function connect(node, address, names, status) {
  await node.handle(names.protocol('status'), async (stream) => {
    await readFramed(stream)
    stream.send(framed(encodeStatus(status)))
    await stream.close()
  }, { force: true })
  const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(10_000) })
  return { connection, theirs: decodeStatus(await ask(connection, names.protocol('status'), encodeStatus(status))) }
}

/** Whoever has only the genesis block. */
export const atGenesis = (genesisHash) => ({
  genesisHash, finalizedEpoch: 0, finalizedHash: genesisHash, finalizedNumber: 0, justifiedEpoch: 0,
  justifiedHash: genesisHash, headHash: genesisHash, headNumber: 0, headSlot: 0,
})

export const gossip = (node, topic, message) => node.services.pubsub.publish(topic, inline(message))

/** JSON-RPC, for what a manifest tells a process: who validates, and where its peers are. */
export async function rpc(url, method, ...params) {
  const response = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  const { result, error } = await response.json()
  if (error) throw new Error(`${method}: ${error.message}`)
  return result
}

export async function until(what, attempt, patienceMs = 60_000) {
  const end = Date.now() + patienceMs
  for (;;) {
    const found = await attempt()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
