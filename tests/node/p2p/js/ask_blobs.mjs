// Asks a process for blobs as node/p2p/README.md describes it: node ask_blobs.mjs ADDRESS GENESIS_HASH HASH...
// Every blob that comes is one of those asked for, in their order, with the commitment that its name is made of.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { ask, createPeer, namesOf } from './peer.mjs'
import { bytesOf, decodeCbor, encodeCbor, hex, join } from './wire.mjs'

const [address, genesisHash, ...hashes] = process.argv.slice(2)
const names = namesOf(bytesOf(genesisHash))
const node = await createPeer()
const connection = await node.dial(multiaddr(address))
const parts = decodeCbor(await ask(connection, names.protocol('blobs'), encodeCbor(hashes.map(bytesOf))))
assert.equal(parts.length % 3, 0)
const found = []
for (let place = 0; place < parts.length; place += 3) {
  const [blob, commitment, proofs] = parts.slice(place, place + 3)
  assert.deepEqual([blob.length, commitment.length, proofs.length], [131_072, 48, 128 * 48])
  found.push(hex(join([1], createHash('sha256').update(commitment).digest().subarray(1))))
}
assert.deepEqual(found, hashes.filter((hash) => found.includes(hash)))
console.log(JSON.stringify(found))
process.exit(0)
