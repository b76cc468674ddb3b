// How long viem's users wait: deposits one after the other, then a whole withdrawal: node viem_times.mjs ACCOUNT DEPOSITS
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { arrived, clientsOf, done, settle } from './bridge.mjs'

const [, , addressIndex, count] = process.argv
const clients = clientsOf(Number(addressIndex))
const { l1, l2, l1Wallet, l2Wallet } = clients
const receiver = privateKeyToAccount(generatePrivateKey()).address
const seconds = (begun) => (Date.now() - begun) / 1000

const deposits = []
for (let number = 0; number < Number(count); number++) {
  const args = await l2.buildDepositTransaction({ mint: 1n, to: receiver })
  const begun = Date.now()
  const onL1 = await done(l1, await l1Wallet.depositTransaction(args))
  const included = seconds(begun)
  await arrived(clients, onL1)
  deposits.push({ included, arrived: seconds(begun) })
}

const stages = {}
const args = await l1.buildInitiateWithdrawal({ value: 1n, to: receiver })
const begun = Date.now()
const receipt = await done(l2, await l2Wallet.initiateWithdrawal(args))
let last = begun
await settle(clients, receipt, async (stage) => {
  stages[stage] = seconds(last)
  last = Date.now()
})
console.log(JSON.stringify({ deposits, stages, total: seconds(begun) }))
