// Faultline's wire as node/p2p/README.md describes it, written from that text alone: CBOR, RLP, lengths, blocks, votes.
import { createPublicKey, verify } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'

export const hex = (bytes) => `0x${Buffer.from(bytes).toString('hex')}`
export const bytesOf = (text) => Uint8Array.from(Buffer.from(text.replace(/^0x/, ''), 'hex'))
export const join = (...parts) => Uint8Array.from(Buffer.concat(parts.map((part) => Uint8Array.from(part))))
export const keccak = (...parts) => keccak_256(join(...parts))
export const same = (a, b) => Buffer.compare(a, b) === 0

const bigEndian = (value, width) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - width)
}

// -- CBOR: unsigned integers (0), byte strings (2) and arrays (4), each in its shortest form

function head(major, argument) {
  const value = BigInt(argument)
  if (value < 24n) return Uint8Array.of(major << 5 | Number(value))
  const power = [0, 1, 2, 3].find((power) => value < 1n << BigInt(8 << power))
  return join([major << 5 | 24 + power], bigEndian(value, 1 << power))
}

/** Numbers, Uint8Arrays and arrays of them. */
export function encodeCbor(item) {
  if (Array.isArray(item)) return join(head(4, item.length), ...item.map(encodeCbor))
  if (item instanceof Uint8Array) return join(head(2, item.length), item)
  return head(0, item)
}

/** The one item that a message is; throws for any other form of it. */
export function decodeCbor(message) {
  const data = Buffer.from(message)
  let position = 0
  const take = (count) => {
    if (position + count > data.length) throw new Error('CBOR: bytes are missing')
    position += count
    return data.subarray(position - count, position)
  }
  const read = (depth) => {
    const first = take(1)[0]
    const [major, short] = [first >> 5, first & 31]
    if (short > 27 || ![0, 2, 4].includes(major) || depth > 4) throw new Error(`CBOR: head ${first}`)
    const argument = short < 24 ? short : Number(BigInt(`0x${take(1 << short - 24).toString('hex')}`))
    if (!same(head(major, argument), data.subarray(position - head(major, argument).length, position))) {
      throw new Error('CBOR: not the shortest form')
    }
    if (major === 0) return argument
    if (major === 2) return Uint8Array.from(take(argument))
    return Array.from({ length: argument }, () => read(depth + 1))
  }
  const item = read(0)
  if (position !== data.length) throw new Error('CBOR: bytes too many')
  return item
}

// -- RLP

export function encodeRlp(item) {
  if (typeof item === 'number') {
    const digits = item.toString(16)
    return encodeRlp(item === 0 ? new Uint8Array() : bytesOf(digits.padStart(digits.length + digits.length % 2, '0')))
  }
  const isList = Array.isArray(item)
  const body = isList ? join(...item.map(encodeRlp)) : item
  if (!isList && body.length === 1 && body[0] < 0x80) return body
  const base = isList ? 0xc0 : 0x80
  if (body.length < 56) return join([base + body.length], body)
  const width = Math.ceil(body.length.toString(16).length / 2)
  return join([base + 55 + width], bigEndian(body.length, width), body)
}

/** Byte strings and lists of them; `raw` of a list is its own encoding. */
export function decodeRlp(encoded) {
  const data = Uint8Array.from(encoded)
  const read = (at) => {
    const first = data[at]
    if (first === undefined) throw new Error('RLP: bytes are missing')
    if (first < 0x80) return { item: data.subarray(at, at + 1), end: at + 1 }
    const isList = first >= 0xc0
    const short = first - (isList ? 0xc0 : 0x80)
    const width = Math.max(0, short - 55)
    const length = width ? Number(BigInt(hex(data.subarray(at + 1, at + 1 + width)))) : short
    const start = at + 1 + width
    const end = start + length
    if (end > data.length) throw new Error('RLP: bytes are missing')
    if (!isList) return { item: data.subarray(start, end), end }
    const list = []
    for (let next = start; next < end;) {
      const inner = read(next)
      list.push(inner.item)
      next = inner.end
    }
    list.raw = data.subarray(at, end)
    return { item: list, end }
  }
  const { item, end } = read(0)
  if (end !== data.length) throw new Error('RLP: bytes too many')
  return item
}

export const integer = (bytes) => bytes.length ? Number(BigInt(hex(bytes))) : 0

// -- lengths: four bytes, big-endian, in front of questions, answers and bodies

export const framed = (message) => join(bigEndian(message.length, 4), message)

// -- gossip's payload: 00 message | 01 SHA-256 length

export const inline = (message) => join([0], message)

export function openPayload(payload) {
  if (payload[0] === 0) return { message: payload.subarray(1) }
  if (payload[0] !== 1 || payload.length !== 37) throw new Error(`a payload of kind ${payload[0]}`)
  return { hash: payload.subarray(1, 33), length: Buffer.from(payload).readUInt32BE(33) }
}

// -- status

const STATUS = ['genesisHash', 'finalizedEpoch', 'finalizedHash', 'finalizedNumber', 'justifiedEpoch', 'justifiedHash',
  'headHash', 'headNumber', 'headSlot']

export const encodeStatus = (status) => encodeCbor(STATUS.map((name) => status[name]))

export function decodeStatus(answer) {
  const items = decodeCbor(answer)
  if (items.length !== STATUS.length) throw new Error(`a status of ${items.length} items`)
  return Object.fromEntries(STATUS.map((name, index) => [name, items[index]]))
}

// -- blocks and votes

const domain = (kind, chainId, genesisHash) => keccak(Buffer.from(`${kind}/1`), bigEndian(chainId, 8), genesisHash)

/** Ed25519 over 32 bytes; the key is the raw one of `devnet_consensus`. */
export function isSigned(publicKey, message, signature) {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' })
  return verify(null, message, key, signature)
}

/** An envelope, opened and checked as far as one block tells: the header commits to the payload, its proposer signed. */
export function openEnvelope(encoded, { chainId, genesisHash, keys }) {
  const [block, payload, signature] = decodeCbor(encoded)
  const [header] = decodeRlp(block)
  const [version, slot, proposer, , , votes] = decodeRlp(payload)
  if (header.length !== 21) throw new Error(`a header of ${header.length} fields`)
  const hash = keccak(header.raw)
  if (integer(version) !== 1) throw new Error(`a payload of version ${integer(version)}`)
  if (!same(keccak(payload), header[12])) throw new Error('the header does not commit to the payload')
  const proposal = keccak(encodeRlp([integer(slot), integer(proposer), hash]))
  const signed = keccak(domain('proposal', chainId, genesisHash), proposal)
  if (!isSigned(keys[integer(proposer)], signed, signature)) throw new Error('the proposer did not sign')
  return {
    hash, parentHash: header[0], number: integer(header[8]), timestamp: integer(header[11]), slot: integer(slot),
    proposer: integer(proposer), votes: votes.reduce((count, [, , signatures]) => count + signatures.length, 0),
  }
}

/** The votes of a gossip message, each verified. */
export function openVotes(encoded, { chainId, genesisHash, keys }) {
  const prefix = domain('vote', chainId, genesisHash)
  return decodeCbor(encoded).map(([index, slot, head, source, target, signature]) => {
    const root = keccak(encodeRlp([slot, head, source, target]))
    if (!isSigned(keys[index], keccak(prefix, root), signature)) throw new Error(`validator ${index} did not sign`)
    return { index, slot, head, source, target }
  })
}
