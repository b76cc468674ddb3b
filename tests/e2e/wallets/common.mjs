// What every wallet script shares: arguments, the contract, assertions that name what they saw.
import { readFileSync } from 'node:fs'
import assert from 'node:assert/strict'

export const [, , rpcUrl, wsUrl] = process.argv
export const notebook = JSON.parse(
  readFileSync(new URL('../../kit/contracts/Notebook.json', import.meta.url)),
)
// The well-known development mnemonic; its accounts are funded on every Faultline devnet.
export const mnemonic = 'test test test test test test test test test test test junk'
export { assert }

export async function until(what, attempt, deadlineMs = 120_000) {
  const end = Date.now() + deadlineMs
  for (;;) {
    const found = await attempt()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

// Blocks and calls that are only simulated (eth_simulateV1), as viem asks for them; the book is one whose number is given.
export async function simulations(client, account, book, number) {
  const nobody = '0x00000000000000000000000000000000000051f1'
  const ether = 10n ** 18n
  const at = { to: book.address, abi: book.abi }
  const blocks = await client.simulateBlocks({
    traceTransfers: true,
    blocks: [
      {
        stateOverrides: [{ address: nobody, balance: 3n * ether }],
        calls: [
          { account: nobody, to: account.address, value: ether },
          { account: nobody, ...at, functionName: 'note', args: [1_000n] },
          { account: nobody, ...at, functionName: 'refuse' },
        ],
      },
      { blockOverrides: { baseFeePerGas: 7n }, calls: [{ account: nobody, ...at, functionName: 'number' }] },
    ],
  })
  const [first, second] = blocks
  assert.deepEqual(first.calls.map((call) => call.status), ['success', 'success', 'failure'])
  assert.equal(BigInt(first.calls[0].logs[0].data), ether)
  assert.match(first.calls[2].error.message, /the notebook is closed/)
  assert.equal(second.calls[0].result, 1_000n)
  assert.equal(second.parentHash, first.hash)
  assert.equal(second.number, first.number + 1n)
  assert.equal(second.baseFeePerGas, 7n)

  const { results, assetChanges } = await client.simulateCalls({
    account: account.address, traceAssetChanges: true,
    calls: [{ to: nobody, value: ether }, { ...at, functionName: 'number' }],
  })
  assert.deepEqual(results.map((result) => result.status), ['success', 'success'])
  assert.equal(results[1].result, number)
  assert.equal(assetChanges[0].value.diff, -ether)
  assert.equal(await client.getBalance({ address: nobody }), 0n)
}
