// A viem user on both chains: node viem_rollup.mjs L1_URL L2_URL REPLICA_URL PORTAL
import { randomBytes } from 'node:crypto'
import { createPublicClient, createWalletClient, defineChain, encodeFunctionData, http, keccak256, parseAbi, parseEther, serializeTransaction, toRlp } from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import { chainConfig, getL2TransactionHashes, publicActionsL1, publicActionsL2, walletActionsL1, walletActionsL2 } from 'viem/op-stack'
import { assert, mnemonic, notebook, simulations, until } from './common.mjs'
import { rehasher } from './rehash.mjs'

const [, , l1Url, l2Url, replicaUrl, portal] = process.argv
const ether = { name: 'Ether', symbol: 'ETH', decimals: 18 }
const l1 = defineChain({ id: 900, name: 'Faultline L1', nativeCurrency: ether, rpcUrls: { default: { http: [l1Url] } } })
const l2 = defineChain({
  ...chainConfig, id: 901, name: 'Faultline L2', nativeCurrency: ether, sourceId: 900, rpcUrls: { default: { http: [l2Url] } },
  contracts: { ...chainConfig.contracts, portal: { 900: { address: portal } } },
})
const account = mnemonicToAccount(mnemonic, { addressIndex: 5 })
const polling = { pollingInterval: 200 }
const l1Client = createPublicClient({ chain: l1, transport: http(), ...polling }).extend(publicActionsL1())
const l2Client = createPublicClient({ chain: l2, transport: http(), ...polling }).extend(publicActionsL2())
const replica = createPublicClient({ chain: l2, transport: http(replicaUrl), ...polling })
const l1Wallet = createWalletClient({ account, chain: l1, transport: http() }).extend(walletActionsL1())
const l2Wallet = createWalletClient({ account, chain: l2, transport: http() }).extend(walletActionsL2())
const newAccount = () => privateKeyToAccount(generatePrivateKey())
const settled = (hash) => l2Client.waitForTransactionReceipt({ hash, timeout: 120_000 })

// A transfer is answered with its receipt there already, and costs what the receipt says
assert.equal(await l2Client.getChainId(), 901)
const stranger = newAccount()
const before = await l2Client.getBalance({ address: account.address })
const sent = await l2Wallet.sendTransaction({ to: stranger.address, value: parseEther('1.5') })
const receipt = await l2Client.getTransactionReceipt({ hash: sent })
assert.equal(receipt.status, 'success')
assert.equal(await l2Client.getBalance({ address: stranger.address }), parseEther('1.5'))
const paid = before - (await l2Client.getBalance({ address: account.address })) - parseEther('1.5')
assert.equal(paid, receipt.gasUsed * receipt.effectiveGasPrice + receipt.l1Fee)

// Fee estimators agree with what is charged
const request = await l2Wallet.prepareTransactionRequest({ to: stranger.address, value: 7n })
// Above the floor of 100 bytes, so that length counts; the L1's prices are those of the block that holds it.
const blob = `0x${randomBytes(2_000).toString('hex')}`
const isWithin = (found, wanted, percent) => {
  const gap = found > wanted ? found - wanted : wanted - found
  return 100n * gap <= BigInt(percent) * wanted + 100n // one wei of rounding
}
async function estimatedAndCharged(data) {
  for (let attempt = 0; attempt < 20; attempt++) {
    const request = await l2Wallet.prepareTransactionRequest({ to: stranger.address, value: 7n, data })
    const l1Fee = await l2Client.estimateL1Fee({ account, ...request })
    const total = await l2Client.estimateTotalFee({ account, ...request })
    const basis = await l2Client.getL1BaseFee()
    const signed = await l2Wallet.signTransaction(request)
    const receipt = await settled(await l2Client.sendRawTransaction({ serializedTransaction: signed }))
    if (receipt.l1GasPrice !== basis) continue // L1 moved on between the question and the block
    return { request, receipt, l1Fee, total }
  }
  throw new Error('the prices of L1 never stood still')
}
const charges = {}
for (const [kind, data] of [['transfer', undefined], ['calldata', blob]]) {
  const { request, receipt, l1Fee, total } = await estimatedAndCharged(data)
  // The oracle, at the block that charged, asked for the very transaction that was signed
  const { account: _, from: __, ...fields } = request
  const exact = await l2Client.readContract({
    ...chainConfig.contracts.gasPriceOracle, blockNumber: receipt.blockNumber, functionName: 'getL1Fee',
    abi: parseAbi(['function getL1Fee(bytes) view returns (uint256)']),
    args: [serializeTransaction({ ...fields, chainId: 901, type: 'eip1559' })],
  })
  const paid = receipt.gasUsed * receipt.effectiveGasPrice + receipt.l1Fee
  const seen = `${kind}: charged ${receipt.l1Fee} of ${paid}, the oracle ${exact}, viem ${l1Fee} of ${total}`
  assert.ok(receipt.l1Fee > 0n, seen)
  assert.ok(isWithin(exact, receipt.l1Fee, 2), seen)
  assert.ok(isWithin(l1Fee, receipt.l1Fee, 2), seen)
  assert.ok(isWithin(total, paid, 2), seen)
  charges[kind] = seen
}

// Deploy, log, revert
const deployed = await settled(await l2Wallet.deployContract({ abi: notebook.abi, bytecode: notebook.bytecode, args: [7n] }))
const book = { address: deployed.contractAddress, abi: notebook.abi }
assert.equal(await l2Client.readContract({ ...book, functionName: 'number' }), 7n)
await simulations(l2Client, account, book, 7n)
await assert.rejects(l2Client.estimateContractGas({ ...book, functionName: 'refuse', account }), /the notebook is closed/)

// A deposit of ETH arrives under the hash that viem computes from L1's receipt
async function deposited(args) {
  const hash = await l1Wallet.depositTransaction({ ...args, account, targetChain: l2 })
  const onL1 = await l1Client.waitForTransactionReceipt({ hash, timeout: 120_000 })
  assert.equal(onL1.status, 'success')
  const [l2Hash] = getL2TransactionHashes(onL1)
  return settled(l2Hash)
}
const lucky = newAccount()
const minted = await deposited({ request: { gas: 21_000n, mint: parseEther('2'), to: lucky.address } })
assert.equal(minted.status, 'success')
assert.equal(await l2Client.getBalance({ address: lucky.address }), parseEther('2'))
const deposit = await l2Client.getTransaction({ hash: minted.transactionHash })
assert.equal(deposit.type, 'deposit')
assert.equal(deposit.mint, parseEther('2'))
assert.equal(deposit.from, account.address.toLowerCase())

// A call by deposit, and one that reverts and keeps its mint
const noted = await deposited({ request: {
  gas: 200_000n, to: book.address, data: encodeFunctionData({ abi: notebook.abi, functionName: 'note', args: [42n] }) } })
assert.equal(noted.status, 'success')
assert.equal(await l2Client.readContract({ ...book, functionName: 'number' }), 42n)
const rich = await l2Client.getBalance({ address: account.address })
const refused = await deposited({ request: {
  gas: 200_000n, mint: 5n, to: book.address, data: encodeFunctionData({ abi: notebook.abi, functionName: 'refuse' }) } })
assert.equal(refused.status, 'reverted')
assert.equal(await l2Client.getBalance({ address: account.address }), rich + 5n)

// The other node agrees, and takes transactions too
await until('the replica to hold the deposit', async () => (await replica.getBlockNumber()) >= refused.blockNumber)
assert.equal((await replica.getBlock({ blockNumber: refused.blockNumber })).hash, refused.blockHash)
const raw = await l2Wallet.signTransaction(await l2Wallet.prepareTransactionRequest({ to: stranger.address, value: 9n }))
const through = await replica.request({ method: 'eth_sendRawTransaction', params: [raw] })
assert.equal(through, keccak256(raw))
assert.equal((await settled(through)).status, 'success')
const synced = await l2Client.request({ method: 'eth_sendRawTransactionSync', params: [
  await l2Wallet.signTransaction(await l2Wallet.prepareTransactionRequest({ to: stranger.address, value: 3n }))] })
assert.equal(synced.status, '0x1')

// What a wallet gets for bad input
await assert.rejects(l2Wallet.sendTransaction({ to: stranger.address, nonce: 0, value: 1n }), /nonce too low|lower than/i)
await assert.rejects(
  createWalletClient({ account: lucky, chain: l2, transport: http() }).sendTransaction({ to: stranger.address, value: parseEther('3') }),
  /insufficient funds|exceeds the balance/i)

// Messages to L1 are committed; WETH wraps
const initiated = await settled(await l2Wallet.initiateWithdrawal({ request: { gas: 21_000n, to: stranger.address, value: 1n } }))
assert.equal(initiated.status, 'success')
const weth = { address: '0x4200000000000000000000000000000000000006', abi: parseAbi(['function deposit() payable', 'function balanceOf(address) view returns (uint256)']) }
await settled(await l2Wallet.writeContract({ ...weth, functionName: 'deposit', value: 11n }))
assert.equal(await l2Client.readContract({ ...weth, functionName: 'balanceOf', args: [account.address] }), 11n)

// Safe, then final, from L1's own data
await until('the blocks to be safe', async () => (await l2Client.getBlock({ blockTag: 'safe' })).number >= initiated.blockNumber)
await until('the blocks to be final', async () => (await replica.getBlock({ blockTag: 'finalized' })).number >= initiated.blockNumber)
const place = await l2Client.request({ method: 'rollup_batchOf', params: [`0x${initiated.blockNumber.toString(16)}`] })
assert.equal((await l1Client.getTransactionReceipt({ hash: place.l1TransactionHash })).status, 'success')
const status = await l2Client.request({ method: 'optimism_syncStatus', params: [] })
assert.ok(status.safe_l2.number >= Number(initiated.blockNumber) && status.unsafe_l2.l1origin.number > 0)

const blocks = await rehasher({
  keccak256, encodeRlp: (value) => toRlp(value), request: (method, params) => l2Client.request({ method, params }),
}).rehashChain()
console.log(JSON.stringify({ blocks, paid: paid.toString(), charges }))
