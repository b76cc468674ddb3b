// MetaMask's own controllers, headless, on a custom network: node metamask.mjs RPC_URL CHAIN_ID PRIVATE_KEY
// Add the network, look at it, estimate fees, send each way, follow to the receipt: what the extension does, by its code.
import assert from 'node:assert/strict'
import EthQuery from '@metamask/eth-query'
import { GasFeeController } from '@metamask/gas-fee-controller'
import { Messenger } from '@metamask/messenger'
import { NetworkController, RpcEndpointType } from '@metamask/network-controller'
import { TransactionController, TransactionEnvelopeType, TransactionStatus } from '@metamask/transaction-controller'
import { addHexPrefix, bytesToHex, hexToBytes, privateToAddress } from '@ethereumjs/util'
import { browserFetch, ORIGIN, preflight } from './extension.mjs'

const [url, chainNumber, key] = process.argv.slice(2)
const chainId = addHexPrefix(Number(chainNumber).toString(16))
const account = bytesToHex(privateToAddress(hexToBytes(key)))
const receiver = '0x00000000000000000000000000000000000be7a5'
const MULTICALL3 = '0xca11bde05977b3631167028862be2a173976ca11'
const called = new Map()
const reported = []

const root = new Messenger({ namespace: 'Root' })
/** A controller's messenger with what it may call and hear of others. */
function messengerOf(namespace, actions = [], events = []) {
  const messenger = new Messenger({ namespace, parent: root })
  root.delegate({ messenger, actions, events })
  return messenger
}
const answer = (namespace, actions) => {
  const messenger = new Messenger({ namespace, parent: root })
  for (const [name, handler] of Object.entries(actions)) messenger.registerActionHandler(`${namespace}:${name}`, handler)
}
const selected = { id: 'one', address: account, type: 'eip155:eoa', metadata: { keyring: { type: 'HD Key Tree' } } }
answer('ErrorReportingService', { captureException: (error) => reported.push(error) })
answer('AccountsController', {
  getSelectedAccount: () => selected,
  getState: () => ({ internalAccounts: { accounts: { one: selected }, selectedAccount: 'one' } }),
})
answer('ApprovalController', { addRequest: async () => ({ value: {}, resultCallbacks: undefined }) })
answer('RemoteFeatureFlagController', { getState: () => ({ remoteFeatureFlags: {}, cacheTimestamp: 0 }) })
answer('KeyringController', { signEip7702Authorization: () => { throw new Error('not asked for') } })

async function until(what, attempt) {
  for (const end = Date.now() + 120_000; Date.now() < end;) {
    const found = await attempt()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`waited in vain for ${what}`)
}

// The network is added and chosen; the controller looks at a block to see what it is
const network = new NetworkController({
  messenger: messengerOf('NetworkController', ['ErrorReportingService:captureException']),
  infuraProjectId: 'none',
  getRpcServiceOptions: () => ({ fetch: browserFetch(called), btoa }),
  getBlockTrackerOptions: () => ({ pollingInterval: 1_000 }), // only to save time: 20 s
})
const added = network.addNetwork({
  chainId, name: 'Faultline', nativeCurrency: 'ETH', blockExplorerUrls: [], defaultRpcEndpointIndex: 0,
  rpcEndpoints: [{ type: RpcEndpointType.Custom, url, name: 'Faultline' }],
})
const [{ networkClientId }] = added.rpcEndpoints
await network.setActiveNetwork(networkClientId)
const metadata = await until('the network to be looked at', () => {
  const known = network.state.networksMetadata[networkClientId]
  return known?.status !== 'unknown' && known
})
assert.deepEqual([metadata.status, metadata.EIPS[1559]], ['available', true])
const client = network.getNetworkClientById(networkClientId)
const provider = client.provider
const ask = (method, params = []) => provider.request({ method, params })

// What the pages of the extension ask for besides: identity, head, balances, alone and by multicall
const privateNetwork = await preflight(url)
assert.equal(await ask('net_version'), chainNumber)
assert.match(await ask('web3_clientVersion'), /^faultline\//)
const head = await client.blockTracker.getLatestBlock()
assert.ok(Number(head) > 0)
const block = await ask('eth_getBlockByNumber', ['latest', false])
assert.ok(Number(block.baseFeePerGas) > 0)
const balance = await ask('eth_getBalance', [account, 'latest'])
const balanceCall = `0x4d2301cc${account.slice(2).padStart(64, '0')}` // getEthBalance(address)
assert.equal(BigInt(await ask('eth_call', [{ to: MULTICALL3, data: balanceCall }, 'latest'])), BigInt(balance))
assert.equal(await ask('eth_getCode', [receiver, 'latest']), '0x')
assert.equal(await new Promise((resolve, reject) => new EthQuery(provider).gasPrice((error, price) =>
  error ? reject(error) : resolve(Number(price) > 0))), true)
const batch = await browserFetch(called)(url, {
  method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify(['eth_chainId', 'eth_blockNumber', 'eth_gasPrice'].map((method, id) => ({ jsonrpc: '2.0', id, method, params: [] }))),
})
assert.deepEqual((await batch.json()).map(({ id }) => id), [0, 1, 2])

// Fees as the extension proposes them: its web service knows nothing of this chain, so it asks the node
const fees = new GasFeeController({
  messenger: messengerOf('GasFeeController',
    ['NetworkController:getState', 'NetworkController:getNetworkClientById', 'NetworkController:getEIP1559Compatibility'],
    ['NetworkController:networkDidChange']),
  getProvider: () => provider,
  getCurrentNetworkEIP1559Compatibility: () => network.getEIP1559Compatibility(),
  getCurrentNetworkLegacyGasAPICompatibility: () => false,
  EIP1559APIEndpoint: 'http://127.0.0.1:1/<chain_id>',
  legacyAPIEndpoint: 'http://127.0.0.1:1/<chain_id>',
  clientId: 'extension',
})
const proposed = await fees.fetchGasFeeEstimates({ networkClientId })
assert.equal(proposed.gasEstimateType, 'eth_gasPrice')
assert.ok(Number(proposed.gasFeeEstimates.gasPrice) > 0, JSON.stringify(proposed))
const history = await ask('eth_feeHistory', ['0x5', 'latest', [10, 50, 95]])
assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1)
assert.ok(history.reward.every((percentiles) => percentiles.length === 3))

// Sending: filled in, estimated, signed, published and followed by MetaMask
const transactions = new TransactionController({
  messenger: messengerOf('TransactionController',
    ['NetworkController:findNetworkClientIdByChainId', 'NetworkController:getNetworkClientById', 'AccountsController:getSelectedAccount',
      'AccountsController:getState', 'ApprovalController:addRequest', 'RemoteFeatureFlagController:getState',
      'KeyringController:signEip7702Authorization'],
    ['NetworkController:stateChange', 'AccountsController:selectedAccountChange']),
  disableHistory: true, disableSendFlowHistory: true, disableSwaps: true, transactionHistoryLimit: 40,
  getCurrentNetworkEIP1559Compatibility: () => network.getEIP1559Compatibility(),
  getCurrentAccountEIP1559Compatibility: async () => true,
  getGasFeeEstimates: (options) => fees.fetchGasFeeEstimates(options),
  getNetworkClientRegistry: () => network.getNetworkClientRegistry(),
  getNetworkState: () => network.state,
  getPermittedAccounts: async () => [account],
  getSavedGasFees: () => undefined,
  isSimulationEnabled: () => false,
  isFirstTimeInteractionEnabled: () => false,
  incomingTransactions: { isEnabled: () => false },
  pendingTransactions: { isResubmitEnabled: () => false },
  sign: async (transaction) => transaction.sign(hexToBytes(key)),
  hooks: {},
})

/** Send as a page asks it to, and wait until MetaMask itself calls it confirmed. */
async function send(parameters) {
  const { result, transactionMeta } = await transactions.addTransaction(
    { from: account, ...parameters }, { networkClientId, origin: 'metamask', requireApproval: true })
  const hash = await result
  const settled = await until(`${hash} to be confirmed`, () => {
    const known = transactions.state.transactions.find(({ id }) => id === transactionMeta.id)
    return [TransactionStatus.confirmed, TransactionStatus.failed].includes(known?.status) && known
  })
  assert.equal(settled.status, TransactionStatus.confirmed, JSON.stringify(settled.error))
  return settled
}
const before = BigInt(await ask('eth_getBalance', [receiver, 'latest']))
const plain = await send({ to: receiver, value: '0x5' })
assert.equal(plain.txParams.type, TransactionEnvelopeType.feeMarket)
assert.equal(plain.txReceipt.status, '0x1')
const legacy = await send({ to: receiver, value: '0x6', type: TransactionEnvelopeType.legacy, gasPrice: await ask('eth_gasPrice') })
assert.equal(legacy.txReceipt.type, '0x0')
const creation = await send({ data: '0x6001600c60003960016000f300', value: '0x0' })
assert.equal(await ask('eth_getCode', [creation.txReceipt.contractAddress, 'latest']), '0x00')
assert.equal(await until('the sum', async () => {
  const after = BigInt(await ask('eth_getBalance', [receiver, 'latest']))
  return after - before === 11n
}), true)

// The nonce that MetaMask's lock gives is the chain's
const lock = await transactions.getNonceLock(account, networkClientId)
assert.equal(lock.nextNonce, Number(await ask('eth_getTransactionCount', [account, 'latest'])))
lock.releaseLock()

assert.deepEqual(reported, [])
console.log(JSON.stringify({ origin: ORIGIN, privateNetwork, called: Object.fromEntries([...called].sort()) }))
process.exit(0)
