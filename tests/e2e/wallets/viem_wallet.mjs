// A day in the life of a viem user on the L1: node viem_wallet.mjs RPC_URL WS_URL
import {
  createPublicClient, createWalletClient, defineChain, http, webSocket, parseEther, keccak256, toHex,
  toRlp, getContractAddress, parseEventLogs, numberToHex, encodeFunctionData, BaseError,
  ContractFunctionRevertedError,
} from 'viem'
import { mnemonicToAccount, generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { assert, mnemonic, notebook, rpcUrl, simulations, until, wsUrl } from './common.mjs'

const chain = defineChain({
  id: 900, name: 'Faultline L1', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl], webSocket: [wsUrl] } },
})
const account = mnemonicToAccount(mnemonic, { addressIndex: 3 })
const client = createPublicClient({ chain, transport: http(), pollingInterval: 250 })
const socket = createPublicClient({ chain, transport: webSocket() })
const wallet = createWalletClient({ account, chain, transport: http() })
const receiptOf = (hash) => client.waitForTransactionReceipt({ hash, timeout: 120_000 })

// Reading
assert.equal(await client.getChainId(), 900)
assert.equal(await wallet.getChainId(), 900)
assert.ok((await client.getBalance({ address: account.address })) > parseEther('9000'))

// Subscriptions, opened before anything happens
const heads = []
const logs = []
const stopHeads = socket.watchBlocks({ onBlock: (block) => heads.push(block), onError: (e) => { throw e } })

// A transfer to a new account, type 2, everything estimated by viem
const stranger = privateKeyToAccount(generatePrivateKey())
const sent = await wallet.sendTransaction({ to: stranger.address, value: parseEther('1.5') })
const receipt = await receiptOf(sent)
assert.equal(receipt.status, 'success')
assert.equal(receipt.gasUsed, 21_000n)
assert.equal(receipt.type, 'eip1559')
assert.equal(await client.getBalance({ address: stranger.address }), parseEther('1.5'))
const found = await client.getTransaction({ hash: sent })
assert.equal(found.blockHash, receipt.blockHash)
assert.equal(found.from, account.address.toLowerCase())

// The other types
const gasPrice = (await client.getGasPrice()) * 2n
for (const [kind, extra] of [
  ['legacy', { type: 'legacy', gasPrice }],
  ['eip2930', { type: 'eip2930', gasPrice, accessList: [{ address: stranger.address, storageKeys: [numberToHex(1, { size: 32 })] }] }],
]) {
  const mined = await receiptOf(await wallet.sendTransaction({ to: stranger.address, value: 1n, ...extra }))
  assert.equal(mined.status, 'success')
  assert.equal(mined.type, kind)
}

// Deploy, call, log, revert
const deployed = await receiptOf(await wallet.deployContract({ abi: notebook.abi, bytecode: notebook.bytecode, args: [7n] }))
const address = deployed.contractAddress
const deploying = await client.getTransaction({ hash: deployed.transactionHash })
assert.equal(address.toLowerCase(), getContractAddress({ from: account.address, nonce: BigInt(deploying.nonce) }).toLowerCase())
const at = { address, abi: notebook.abi }
assert.equal(await client.readContract({ ...at, functionName: 'number' }), 7n)
const stopLogs = socket.watchContractEvent({ ...at, eventName: 'Noted', onLogs: (l) => logs.push(...l) })
const subscribed = await socket.transport.getRpcClient()
await until('both subscriptions', () => subscribed.subscriptions.size === 2)
const { request } = await client.simulateContract({ ...at, account, functionName: 'note', args: [42n] })
const noted = await receiptOf(await wallet.writeContract(request))
const [event] = parseEventLogs({ abi: notebook.abi, logs: noted.logs })
assert.deepEqual([event.eventName, event.args.writer, event.args.number], ['Noted', account.address, 42n])
assert.equal(await client.readContract({ ...at, functionName: 'number' }), 42n)
const [logged] = await client.getContractEvents({ ...at, eventName: 'Noted', fromBlock: deployed.blockNumber })
assert.equal(logged.transactionHash, noted.transactionHash)
await assert.rejects(client.readContract({ ...at, functionName: 'refuse' }), (error) => {
  const cause = error.walk((e) => e instanceof ContractFunctionRevertedError)
  assert.equal(cause.reason, 'the notebook is closed')
  return true
})
await assert.rejects(
  client.estimateContractGas({ ...at, functionName: 'refuse', account }), /the notebook is closed/)

await simulations(client, account, at, 42n)

// State at an older block, overrides, storage, code, proof
assert.equal(await client.readContract({ ...at, functionName: 'number', blockNumber: deployed.blockNumber }), 7n)
assert.equal(BigInt(await client.getStorageAt({ address, slot: numberToHex(0) })), 42n)
assert.equal((await client.getCode({ address })).length > 2, true)
const overridden = await client.readContract({ ...at, functionName: 'number', stateOverride: [
  { address, stateDiff: [{ slot: numberToHex(0, { size: 32 }), value: numberToHex(99, { size: 32 }) }] }] })
assert.equal(overridden, 99n)
const proof = await client.getProof({ address, storageKeys: [numberToHex(0, { size: 32 })] })
const proven = await client.getBlock()
assert.ok(proof.accountProof.length > 0 && proof.storageProof[0].proof.length > 0 && proven.stateRoot)
assert.equal(keccak256(proof.storageProof[0].proof[0]), proof.storageHash)

// EIP-7702: an account that runs the notebook's code
const delegate = privateKeyToAccount(generatePrivateKey())
await receiptOf(await wallet.sendTransaction({ to: delegate.address, value: parseEther('1') }))
const delegateWallet = createWalletClient({ account: delegate, chain, transport: http() })
const authorization = await delegateWallet.signAuthorization({ contractAddress: address })
const delegated = await receiptOf(await wallet.sendTransaction({
  authorizationList: [authorization], to: delegate.address,
  data: encodeFunctionData({ abi: notebook.abi, functionName: 'note', args: [5n] }) }))
assert.equal(delegated.status, 'success')
assert.equal(delegated.type, 'eip7702')
assert.equal(await client.getCode({ address: delegate.address }), `0xef0100${address.slice(2).toLowerCase()}`)
assert.equal(await client.readContract({ address: delegate.address, abi: notebook.abi, functionName: 'number' }), 5n)

// What a wallet gets for bad input
await assert.rejects(wallet.sendTransaction({ to: stranger.address, nonce: 0, value: 1n }), /nonce too low|Nonce provided for the transaction is lower/i)
await assert.rejects(
  createWalletClient({ account: stranger, chain, transport: http() }).sendTransaction({ to: account.address, value: parseEther('2') }),
  /insufficient funds|exceeds the balance/i)
await assert.rejects(client.request({ method: 'eth_nonsense' }), (error) => error instanceof BaseError)

// Sync sending, fees, filters
const signed = await wallet.signTransaction(await wallet.prepareTransactionRequest({ to: stranger.address, value: 3n }))
const synced = await client.request({ method: 'eth_sendRawTransactionSync', params: [signed] })
assert.equal(synced.status, '0x1')
const fees = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] })
assert.ok(fees.baseFeePerGas.length >= 2 && fees.reward.length >= 1)
const filter = await client.createBlockFilter()
await until('a block in the filter', async () => (await client.getFilterChanges({ filter })).length > 0)
assert.equal(await client.uninstallFilter({ filter }), true)

// Finality: the transfer's block becomes safe, then final
await until('finality', async () => (await client.getBlock({ blockTag: 'finalized' })).number >= receipt.blockNumber)
const safe = await client.getBlock({ blockTag: 'safe' })
assert.ok(safe.number >= receipt.blockNumber)

// Every header hashes to its hash and to its successor's parentHash
const tip = await client.getBlockNumber()
let parentHash
for (let number = 0n; number <= tip; number++) {
  const block = await client.request({ method: 'eth_getBlockByNumber', params: [numberToHex(number), false] })
  const quantity = (value) => (BigInt(value) === 0n ? '0x' : toHex(BigInt(value)))
  const header = [
    block.parentHash, block.sha3Uncles, block.miner, block.stateRoot, block.transactionsRoot, block.receiptsRoot,
    block.logsBloom, quantity(block.difficulty), quantity(block.number), quantity(block.gasLimit),
    quantity(block.gasUsed), quantity(block.timestamp), block.extraData, block.mixHash, block.nonce,
    quantity(block.baseFeePerGas), block.withdrawalsRoot, quantity(block.blobGasUsed), quantity(block.excessBlobGas),
    block.parentBeaconBlockRoot, block.requestsHash,
  ]
  assert.equal(keccak256(toRlp(header)), block.hash, `header ${number}`)
  if (parentHash) assert.equal(block.parentHash, parentHash)
  parentHash = block.hash
}

await until('heads over the socket', () => heads.length >= 3)
await until('the log over the socket', () => logs.length >= 1)
assert.equal(logs[0].transactionHash, noted.transactionHash)
stopHeads(); stopLogs()
console.log(JSON.stringify({ headers: Number(tip) + 1, heads: heads.length, logs: logs.length }))
process.exit(0)
