// Blobs whose commitments need no trusted setup: all 4,096 elements are one number c, so the polynomial is c itself,
// its commitment c times the generator, and every proof, of the whole or of a cell, is the point at infinity.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { bls12_381: curve } = require('@noble/curves/bls12-381')

const infinity = new Uint8Array(48)
infinity[0] = 0xc0

export function constantBlob(c) {
  const blob = new Uint8Array(131_072)
  for (let element = 0; element < 4_096; element++) blob[32 * element + 31] = c
  return blob
}

// What viem and ethers ask of a KZG library; the proofs of ethers' newer form are those of the 128 cells, joined.
export const kzg = {
  blobToKzgCommitment: (blob) => curve.G1.ProjectivePoint.BASE.multiply(BigInt(blob[31])).toRawBytes(true),
  computeBlobKzgProof: () => infinity,
}

export function cellProofs() {
  const proofs = new Uint8Array(128 * 48)
  for (let cell = 0; cell < 128; cell++) proofs[48 * cell] = 0xc0
  return proofs
}

