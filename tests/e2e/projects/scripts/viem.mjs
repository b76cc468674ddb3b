// A project of viem on either layer: node viem.mjs RPC_URL CHAIN_ID ARTIFACT; every type of transaction, events, errors decoded.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, encodeFunctionData, http, parseEther, parseEventLogs } from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'

const [url, id, artifact] = process.argv.slice(2)
const { abi, bytecode } = JSON.parse(readFileSync(artifact))
const chain = defineChain({
  id: Number(id), name: 'Faultline', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [url] } } })
const account = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 1 })
// Only to save time, as below: by default it looks every four seconds
const client = createPublicClient({ chain, transport: http(), pollingInterval: 250 })
const wallet = createWalletClient({ account, chain, transport: http() })
const mined = async (hash) => {
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 120_000 })
  assert.equal(receipt.status, 'success')
  return receipt
}

const limit = parseEther('1')
const { contractAddress: address } = await mined(await wallet.deployContract({ abi, bytecode: bytecode.object, args: [limit] }))
const box = { address, abi }
assert.equal(await client.readContract({ ...box, functionName: 'LIMIT' }), limit)

const { accessList } = await client.createAccessList({
  account, to: address, data: encodeFunctionData({ abi, functionName: 'keep', args: ['listed'] }) })
const gasPrice = await client.getGasPrice()
const delegate = privateKeyToAccount(generatePrivateKey())
const authorization = await createWalletClient({ account: delegate, chain, transport: http() })
  .signAuthorization({ contractAddress: address })
const kinds = {
  legacy: { type: 'legacy', gasPrice }, eip2930: { type: 'eip2930', gasPrice, accessList }, eip1559: {}, eip7702: { authorizationList: [authorization] } }
// A transaction on L1 takes a slot: all are sent before the first is waited for
const sent = []
for (const [kind, fields] of Object.entries(kinds)) {
  sent.push(await wallet.writeContract({ ...box, functionName: 'keep', args: [kind], value: 3n, ...fields }))
}
const receipts = []
for (const [index, kind] of Object.keys(kinds).entries()) {
  const receipt = await mined(sent[index])
  const [{ args }] = parseEventLogs({ abi, logs: receipt.logs, eventName: 'Kept' })
  assert.deepEqual([receipt.type, args.memo, args.amount], [kind, kind, 3n])
  receipts.push(receipt)
}
assert.equal((await client.getCode({ address: delegate.address })).toLowerCase(), `0xef0100${address.slice(2)}`.toLowerCase())
const kept = await client.getContractEvents({ ...box, eventName: 'Kept', fromBlock: receipts[0].blockNumber })
assert.deepEqual(kept.map(({ args }) => args.id), [0n, 1n, 2n, 3n])

const stranger = privateKeyToAccount(generatePrivateKey())
await assert.rejects(client.simulateContract({ ...box, functionName: 'giveBack', args: [0n], account: stranger }), (error) => {
  const { data } = error.walk((cause) => cause instanceof ContractFunctionRevertedError)
  assert.equal(data.errorName, 'NotTheOwner')
  assert.deepEqual(data.args, [stranger.address, { owner: account.address, amount: 3n, memo: 'legacy' }])
  return true
})
await assert.rejects(
  client.estimateContractGas({ ...box, functionName: 'keep', args: ['much'], value: 2n * limit, account }), /AboveLimit/)
assert.ok(await client.estimateContractGas({ ...box, functionName: 'keep', args: ['little'], value: 1n, account }) > 50_000n)
console.log(JSON.stringify({ types: receipts.map(({ type }) => type) }))
