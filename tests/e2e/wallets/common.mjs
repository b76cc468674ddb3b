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
