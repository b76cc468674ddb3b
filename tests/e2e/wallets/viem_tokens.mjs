// An ERC-20 both ways and messages both ways, with a failed one replayed on either side: node viem_tokens.mjs
import { readFileSync } from 'node:fs'
import { encodeFunctionData, parseEventLogs } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import {
  arrived, assert, clientsOf, contractsL1, contractsL2, done, erc20, factoryAbi, l1BridgeAbi, l2BridgeAbi, messengerAbi, settleAll,
} from './bridge.mjs'

const clients = clientsOf(7)
const { account, l1, l2, l1Wallet, l2Wallet } = clients
const artifact = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url)))
const [weth, doorbell] = [artifact('./WETH.json'), artifact('../../kit/contracts/Doorbell.json')]
const write = async (client, wallet, call) => done(client, await wallet.writeContract(call))
const onL1 = (call) => write(l1, l1Wallet, call)
const onL2 = (call) => write(l2, l2Wallet, call)
const logged = (receipt, abi, eventName) => {
  const found = parseEventLogs({ abi, eventName, logs: receipt.logs })
  assert.ok(found.length > 0, `no ${eventName}`)
  return found[0].args
}
const balance = (client, address, of) => client.readContract({ address, abi: erc20, functionName: 'balanceOf', args: [of] })

// A token on L1, and its twin on L2
const token = (await done(l1, await l1Wallet.deployContract({ abi: weth.abi, bytecode: weth.init }))).contractAddress
await onL1({ address: token, abi: erc20, functionName: 'deposit', value: 1_000n })
const created = await onL2({
  address: contractsL2.optimismMintableErc20Factory, abi: factoryAbi, functionName: 'createOptimismMintableERC20', args: [token, 'Bridged', 'BRG'] })
const twin = logged(created, factoryAbi, 'OptimismMintableERC20Created').localToken
assert.equal(await l2.readContract({ address: twin, abi: erc20, functionName: 'symbol' }), 'BRG')

// To L2
await onL1({ address: token, abi: erc20, functionName: 'approve', args: [contractsL1.l1StandardBridge, 600n] })
const sent = await onL1({
  address: contractsL1.l1StandardBridge, abi: l1BridgeAbi, functionName: 'depositERC20', args: [token, twin, 600n, 200_000, '0x'] })
assert.equal((await arrived(clients, sent)).status, 'success')
assert.equal(await balance(l2, twin, account.address), 600n)
assert.equal(await balance(l1, token, account.address), 400n)
const locked = () => l1.readContract({ address: contractsL1.l1StandardBridge, abi: l1BridgeAbi, functionName: 'deposits', args: [token, twin] })
assert.equal(await locked(), 600n)

// ETH through the standard bridge, to the wei
const stranger = privateKeyToAccount(generatePrivateKey()).address
const bridged = await onL1({
  address: contractsL1.l1StandardBridge, abi: l1BridgeAbi, functionName: 'bridgeETHTo', args: [stranger, 200_000, '0x'], value: 31n })
assert.equal((await arrived(clients, bridged)).status, 'success')
assert.equal(await l2.getBalance({ address: stranger }), 31n)

// A message to L2 that its target refuses, replayed by anybody once the target takes it
const bell = {}
for (const [name, client, wallet] of [['l1', l1, l1Wallet], ['l2', l2, l2Wallet]]) {
  const receipt = await done(client, await wallet.deployContract({ abi: doorbell.abi, bytecode: doorbell.bytecode }))
  bell[name] = { address: receipt.contractAddress, abi: doorbell.abi }
}
const ring = (number) => encodeFunctionData({ abi: doorbell.abi, functionName: 'ring', args: [number] })
function messageOf(receipt) {
  const { target, sender, message, messageNonce, gasLimit } = logged(receipt, messengerAbi, 'SentMessage')
  const { value } = logged(receipt, messengerAbi, 'SentMessageExtension1')
  return [messageNonce, sender, target, value, gasLimit, message]
}
async function replayed(client, wallet, messenger, hash, message, target, number) {
  const at = { address: messenger, abi: messengerAbi }
  assert.equal(await client.readContract({ ...at, functionName: 'failedMessages', args: [hash] }), true)
  assert.equal(await client.readContract({ ...target, functionName: 'rings' }), 0n)
  await write(client, wallet, { ...target, functionName: 'set_open', args: [true] })
  const receipt = await write(client, wallet, { ...at, functionName: 'relayMessage', args: message, gas: 1_000_000n })
  assert.equal(logged(receipt, messengerAbi, 'RelayedMessage').msgHash, hash)
  assert.equal(await client.readContract({ ...target, functionName: 'number' }), number)
  assert.equal(await client.readContract({ ...target, functionName: 'sender' }), account.address)
  // Once
  await assert.rejects(wallet.writeContract({ ...at, functionName: 'relayMessage', args: message }), /already been relayed/)
  assert.equal(await client.readContract({ ...target, functionName: 'rings' }), 1n)
}
const down = await onL1({
  address: contractsL1.l1CrossDomainMessenger, abi: messengerAbi, functionName: 'sendMessage', args: [bell.l2.address, ring(42n), 200_000], value: 5n })
const downReceipt = await arrived(clients, down)
const refusedOnL2 = logged(downReceipt, messengerAbi, 'FailedRelayedMessage').msgHash
await replayed(l2, l2Wallet, contractsL2.l2CrossDomainMessenger, refusedOnL2, messageOf(down), bell.l2, 42n)
assert.equal(await l2.getBalance({ address: bell.l2.address }), 5n)

// Four withdrawals side by side: the token, ETH to an account and to a contract that has no way to take it, and a message
// that its target refuses at first
const tokenBack = await onL2({
  address: contractsL2.l2StandardBridge, abi: l2BridgeAbi, functionName: 'withdraw', args: [twin, 250n, 200_000, '0x'] })
const etherBack = await onL2({
  address: contractsL2.l2StandardBridge, abi: l2BridgeAbi, functionName: 'bridgeETHTo', args: [stranger, 200_000, '0x'], value: 13n })
const etherRefused = await onL2({
  address: contractsL2.l2StandardBridge, abi: l2BridgeAbi, functionName: 'bridgeETHTo', args: [bell.l1.address, 200_000, '0x'], value: 17n })
const up = await onL2({
  address: contractsL2.l2CrossDomainMessenger, abi: messengerAbi, functionName: 'sendMessage', args: [bell.l1.address, ring(43n), 200_000], value: 3n })
assert.equal(await balance(l2, twin, account.address), 350n)
const [, , refused, upSettled] = await settleAll(clients, [tokenBack, etherBack, etherRefused, up])
assert.equal(await balance(l1, token, account.address), 650n)
assert.equal(await locked(), 350n)
assert.equal(await l2.readContract({ address: twin, abi: erc20, functionName: 'totalSupply' }), 350n)

assert.equal(await l1.getBalance({ address: stranger }), 13n)
const held = logged(refused, messengerAbi, 'FailedRelayedMessage').msgHash
assert.equal(await l1.readContract({
  address: contractsL1.l1CrossDomainMessenger, abi: messengerAbi, functionName: 'failedMessages', args: [held] }), true)

// The refused message, once its target takes it
const refusedOnL1 = logged(upSettled, messengerAbi, 'FailedRelayedMessage').msgHash
await replayed(l1, l1Wallet, contractsL1.l1CrossDomainMessenger, refusedOnL1, messageOf(up), bell.l1, 43n)
assert.equal(await l1.getBalance({ address: bell.l1.address }), 3n)
console.log(JSON.stringify({ token, twin }))
