// A whole withdrawal of ETH by viem's op-stack actions, and what the node says of it meanwhile: node viem_withdrawal.mjs BRIDGE_URL
import { createPublicClient, http, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { getWithdrawals } from 'viem/op-stack'
import { arrived, assert, clientsOf, done, faultlineL2, settle, until } from './bridge.mjs'

const [, , bridgeUrl] = process.argv
const clients = clientsOf(6)
const { account, l1, l2, l1Wallet, l2Wallet } = clients
const bridge = createPublicClient({ chain: faultlineL2, transport: http(bridgeUrl) })
const told = (hash) => bridge.request({ method: 'rollup_withdrawal', params: [hash] })
const times = {}
const timed = async (name, work) => {
  const begun = Date.now()
  const found = await work()
  times[name] = (Date.now() - begun) / 1000
  return found
}

// A deposit, to the wei
const lucky = privateKeyToAccount(generatePrivateKey()).address
const amount = parseEther('1.25') + 7n
const deposited = await timed('deposit', async () => {
  const args = await l2.buildDepositTransaction({ mint: amount, to: lucky })
  return arrived(clients, await done(l1, await l1Wallet.depositTransaction(args)))
})
assert.equal(deposited.status, 'success')
assert.equal(await l2.getBalance({ address: lucky }), amount)

// Initiated
const receiver = privateKeyToAccount(generatePrivateKey()).address
const value = parseEther('0.5') + 3n
const args = await l1.buildInitiateWithdrawal({ value, to: receiver })
const before = await l2.getBalance({ address: account.address })
const receipt = await done(l2, await l2Wallet.initiateWithdrawal(args))
const cost = receipt.gasUsed * receipt.effectiveGasPrice + receipt.l1Fee
assert.equal(await l2.getBalance({ address: account.address }), before - value - cost)
const [{ withdrawalHash }] = getWithdrawals(receipt)
assert.equal(await told(`0x${'ab'.repeat(32)}`), null)

// Every status of viem's, and our own beside it
const expected = {
  initiated: { viem: ['waiting-to-prove', 'ready-to-prove'], own: ['initiated', 'provable'] },
  provable: { viem: ['ready-to-prove'], own: ['provable'] },
  proven: { viem: ['waiting-to-finalize'], own: ['proven', 'in_challenge'] },
  finalizable: { viem: ['ready-to-finalize'], own: ['finalizable'] },
  settled: { viem: ['finalized'], own: ['settled'] },
}
const seen = {}
let last = Date.now()
async function mark(stage, status) {
  times[stage] = (Date.now() - last) / 1000
  const found = await status()
  assert.ok(expected[stage].viem.includes(found), `${stage}: viem says ${found}`)
  // The bridge follows L1 by itself: it may be a block behind the validator that viem asks
  const report = await until(`the bridge to tell ${stage}`, async () => {
    const found = await told(receipt.transactionHash)
    return found && expected[stage].own.includes(found.state) ? found : undefined
  })
  assert.equal(report.withdrawalHash, withdrawalHash)
  assert.equal(BigInt(report.message.value), value)
  assert.equal(report.waitsFor.length === 0, stage === 'settled', JSON.stringify(report.waitsFor))
  seen[stage] = [found, report.state, ...report.waitsFor.map((wait) => wait.for)]
  if (stage === 'proven') {
    const game = await bridge.request({ method: 'rollup_game', params: [report.game.index] })
    assert.equal(game.address, report.game.address)
    assert.equal(game.rootClaim, game.ownRoot)
    assert.ok(Number(report.expectedAt) > Number(report.l1.timestamp))
    // It cannot be finalized yet, and says why in the error that viem reads
    await assert.rejects(
      l1Wallet.finalizeWithdrawal({ targetChain: faultlineL2, withdrawal: getWithdrawals(receipt)[0] }),
      /ProofNotOldEnough|InvalidRootClaim|0xd9bc01be|0x332a57f8/)
  }
  last = Date.now()
}
const { settled, withdrawal } = await settle(clients, receipt, mark)
assert.equal(await l1.getBalance({ address: receiver }), value)
const report = await until('the settlement to be told', async () => {
  const found = await told(withdrawalHash)
  return found.settlement ? found : undefined
})
assert.equal(report.settlement.transactionHash, settled.transactionHash)
assert.equal(report.settlement.succeeded, true)

// Once only
await assert.rejects(
  l1Wallet.finalizeWithdrawal({ targetChain: faultlineL2, withdrawal }), /AlreadyFinalized|0x730a1074/)
assert.equal(await l1.getBalance({ address: receiver }), value)

// The sequencer says who knows
await assert.rejects(l2.request({ method: 'rollup_withdrawal', params: [withdrawalHash] }), /bridge or the watchtower/)
console.log(JSON.stringify({ times, seen }))
