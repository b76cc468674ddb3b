// A project of ethers on either layer: node ethers.mjs RPC_URL CHAIN_ID ARTIFACT; every type of transaction, events, errors decoded.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ContractFactory, HDNodeWallet, JsonRpcProvider, NonceManager, Wallet, parseEther } from 'ethers'

const [url, id, artifact] = process.argv.slice(2)
const { abi, bytecode } = JSON.parse(readFileSync(artifact))
// Only to save time, as below: by default it looks every four seconds
const provider = new JsonRpcProvider(url, undefined, { cacheTimeout: -1, pollingInterval: 250 })
assert.equal((await provider.getNetwork()).chainId, BigInt(id))
const phrase = 'test test test test test test test test test test test junk'
const wallet = HDNodeWallet.fromPhrase(phrase, undefined, "m/44'/60'/0'/0/6").connect(provider)
const signer = new NonceManager(wallet)

const limit = parseEther('1')
const box = await new ContractFactory(abi, bytecode.object, signer).deploy(limit)
await box.waitForDeployment()
const address = await box.getAddress()
assert.equal(await box.LIMIT(), limit)

const { gasPrice } = await provider.getFeeData()
const { accessList } = await provider.send('eth_createAccessList', [
  { from: wallet.address, to: address, data: box.interface.encodeFunctionData('keep', ['listed']) }, 'latest'])
const delegate = Wallet.createRandom().connect(provider)
const authorization = await delegate.authorize({ address, nonce: 0, chainId: BigInt(id) })
const kinds = [{ type: 0 }, { type: 1, gasPrice, accessList }, { type: 2 }, { type: 4, authorizationList: [authorization] }]
const memos = kinds.map(({ type }) => `type ${type}`)
// A transaction on L1 takes a slot: all are sent before the first is waited for
const sent = []
for (const [index, fields] of kinds.entries()) sent.push(await box.keep(memos[index], { value: 3n, ...fields }))
for (const [index, fields] of kinds.entries()) {
  const memo = memos[index]
  const receipt = await sent[index].wait()
  const { args } = box.interface.parseLog(receipt.logs[0])
  assert.deepEqual([receipt.status, receipt.type, args.memo, args.amount], [1, fields.type, memo, 3n])
}
assert.equal(await provider.getCode(delegate.address), `0xef0100${address.slice(2).toLowerCase()}`)
const kept = await box.queryFilter(box.filters.Kept(null, wallet.address), 1)
assert.deepEqual(kept.map(({ args }) => args.id), [0n, 1n, 2n, 3n])

await assert.rejects(box.keep.staticCall('much', { value: 2n * limit }), (error) => {
  assert.deepEqual([error.code, error.revert.name, [...error.revert.args]], ['CALL_EXCEPTION', 'AboveLimit', [2n * limit, limit]])
  return true
})
await assert.rejects(box.keep('much', { value: 2n * limit }), ({ data }) =>
  box.interface.parseError(data).name === 'AboveLimit')
await assert.rejects(box.connect(delegate).giveBack.staticCall(0n), (error) => {
  assert.equal(error.revert.name, 'NotTheOwner')
  assert.equal(error.revert.args.kept.memo, 'type 0')
  return true
})
assert.ok(await box.keep.estimateGas('little', { value: 1n }) > 50_000n)
console.log(JSON.stringify({ types: kinds.map(({ type }) => type) }))
process.exit(0)
