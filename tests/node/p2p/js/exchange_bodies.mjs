// Large messages both ways, announced and fetched as node/p2p/README.md describes it: node exchange_bodies.mjs ADDRESS GENESIS_HASH
// It announces a body of its own until somebody has fetched it, and prints the SHA-256 of what it fetches itself.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { ask, createPeer, namesOf } from './peer.mjs'
import { bytesOf, framed, hex, join, openPayload } from './wire.mjs'

const [address, genesisHash] = process.argv.slice(2)
const names = namesOf(bytesOf(genesisHash))
const topic = names.topic('l1.block')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest()
const node = await createPeer()
const { pubsub } = node.services

const ours = randomBytes(300_000)
const length = Buffer.alloc(4)
length.writeUInt32BE(ours.length)
let announcing
await node.handle(names.protocol('body'), async (stream) => {
  let question = new Uint8Array()
  for await (const part of stream) {
    question = join(question, part.subarray())
    if (question.length >= 32) break
  }
  assert.deepEqual(Buffer.from(question), sha256(ours))
  clearInterval(announcing)
  stream.send(framed(ours))
  await stream.close()
})

const connection = await node.dial(multiaddr(address))
pubsub.addEventListener('message', async ({ detail }) => {
  const { hash, length } = openPayload(detail.data)
  const body = await ask(connection, names.protocol('body'), hash, { raw: true })
  assert.equal(body.length, length)
  assert.deepEqual(sha256(body), Buffer.from(hash))
  console.log(hex(sha256(body)))
})
pubsub.subscribe(topic)
console.log(hex(sha256(ours)))
announcing = setInterval(() => pubsub.publish(topic, join([1], sha256(ours), length)), 200)
