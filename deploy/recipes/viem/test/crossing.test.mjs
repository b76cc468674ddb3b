// viem with node's own test runner; for vitest import { test } from 'vitest' instead.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { createPublicClient, createWalletClient, http, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { getL2TransactionHashes, publicActionsL2, walletActionsL1 } from 'viem/op-stack'
// What `faultline addresses --format viem` printed: both chains with every contract
import { faultlineL1, faultlineL2 } from '../chains.mjs'

const account = privateKeyToAccount(process.env.ACCOUNT_1_PRIVATE_KEY)
const l1 = createPublicClient({ chain: faultlineL1, transport: http() })
const l2 = createPublicClient({ chain: faultlineL2, transport: http() }).extend(publicActionsL2())
const wallet = createWalletClient({ account, chain: faultlineL1, transport: http() }).extend(walletActionsL1())
const faultline = (...words) => execFileSync('faultline', words, { encoding: 'utf8' })

const deposit = async (to) => {
  const request = await l2.buildDepositTransaction({ account, mint: parseEther('1'), to })
  const [hash] = getL2TransactionHashes(await l1.waitForTransactionReceipt({ hash: await wallet.depositTransaction(request) }))
  return l2.waitForTransactionReceipt({ hash, timeout: 240_000 })
}

test('a deposit arrives', async () => {
  const { address } = privateKeyToAccount(generatePrivateKey())
  const receipt = await deposit(address)
  assert.equal(receipt.status, 'success')
  assert.equal(await l2.getBalance({ address }), parseEther('1'))
})

test('a deposit arrives although L1 splits in two while it is under way', async () => {
  const { address } = privateKeyToAccount(generatePrivateKey())
  faultline('break', 'partition', 'groups=validator-0,sequencer,bridge,watchtower/validator-1,validator-2,validator-3')
  const sent = deposit(address)
  faultline('break', 'heal')
  assert.equal((await sent).status, 'success')
  assert.equal(await l2.getBalance({ address }), parseEther('1'))
})
