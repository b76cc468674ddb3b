// Both chains as `faultline addresses --format viem` prints them (pasted into chains.mjs), and clients of one account.
import { createPublicClient, createWalletClient, http, parseAbi } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { getL2TransactionHashes, publicActionsL1, publicActionsL2, walletActionsL1, walletActionsL2 } from 'viem/op-stack'
import { faultlineL1, faultlineL2 } from './chains.mjs'
import { assert, mnemonic, until } from './common.mjs'

export { faultlineL1, faultlineL2 }
export const contractsL1 = Object.fromEntries(Object.entries(faultlineL1.contracts).map(([name, { address }]) => [name, address]))
export const contractsL2 = Object.fromEntries(
  Object.entries(faultlineL2.contracts).filter(([, { address }]) => address).map(([name, { address }]) => [name, address]))

export function clientsOf(addressIndex) {
  const account = mnemonicToAccount(mnemonic, { addressIndex })
  const polling = { pollingInterval: 200 }
  return {
    account,
    l1: createPublicClient({ chain: faultlineL1, transport: http(), ...polling }).extend(publicActionsL1()),
    l2: createPublicClient({ chain: faultlineL2, transport: http(), ...polling }).extend(publicActionsL2()),
    l1Wallet: createWalletClient({ account, chain: faultlineL1, transport: http() }).extend(walletActionsL1()),
    l2Wallet: createWalletClient({ account, chain: faultlineL2, transport: http() }).extend(walletActionsL2()),
  }
}

export const erc20 = parseAbi([
  'function deposit() payable',
  'function approve(address, uint256) returns (bool)',
  'function balanceOf(address) view returns (uint256)',
  'function totalSupply() view returns (uint256)',
  'function symbol() view returns (string)',
  'function decimals() view returns (uint8)',
])
export const l1BridgeAbi = parseAbi([
  'function bridgeETHTo(address to, uint32 minGasLimit, bytes extraData) payable',
  'function bridgeERC20To(address localToken, address remoteToken, address to, uint256 amount, uint32 minGasLimit, bytes extraData)',
  'function depositERC20(address l1Token, address l2Token, uint256 amount, uint32 minGasLimit, bytes extraData)',
  'function deposits(address, address) view returns (uint256)',
])
export const l2BridgeAbi = parseAbi([
  'function bridgeETHTo(address to, uint32 minGasLimit, bytes extraData) payable',
  'function withdraw(address l2Token, uint256 amount, uint32 minGasLimit, bytes extraData) payable',
  'function withdrawTo(address l2Token, address to, uint256 amount, uint32 minGasLimit, bytes extraData) payable',
])
export const messengerAbi = parseAbi([
  'function sendMessage(address target, bytes message, uint32 minGasLimit) payable',
  'function relayMessage(uint256 nonce, address sender, address target, uint256 value, uint256 minGasLimit, bytes message) payable',
  'function failedMessages(bytes32) view returns (bool)',
  'function successfulMessages(bytes32) view returns (bool)',
  'function messageNonce() view returns (uint256)',
  'event SentMessage(address indexed target, address sender, bytes message, uint256 messageNonce, uint256 gasLimit)',
  'event SentMessageExtension1(address indexed sender, uint256 value)',
  'event RelayedMessage(bytes32 indexed msgHash)',
  'event FailedRelayedMessage(bytes32 indexed msgHash)',
])
export const factoryAbi = parseAbi([
  'function createOptimismMintableERC20(address remoteToken, string name, string symbol) returns (address)',
  'event OptimismMintableERC20Created(address indexed localToken, address indexed remoteToken, address deployer)',
])

// A transaction on one chain that has to succeed
export async function done(client, hash) {
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 180_000 })
  assert.equal(receipt.status, 'success', `${hash} reverted`)
  return receipt
}

// What an L1 receipt deposits, on L2
export async function arrived({ l2 }, receipt) {
  const [hash] = getL2TransactionHashes(receipt)
  return l2.waitForTransactionReceipt({ hash, timeout: 180_000 })
}

// One withdrawal by viem's own actions alone; `mark` is told of every stage. Gives the L1 receipt that settled it.
export async function settle(clients, receipt, mark = async () => {}) {
  const { account, l1, l2, l1Wallet } = clients
  const status = () => l1.getWithdrawalStatus({ receipt, targetChain: faultlineL2 })
  await mark('initiated', status)
  const { output, withdrawal } = await l1.waitToProve({ receipt, targetChain: faultlineL2 })
  await mark('provable', status)
  const args = await l2.buildProveWithdrawal({ account, output, withdrawal })
  await done(l1, await l1Wallet.proveWithdrawal(args))
  await mark('proven', status)
  await l1.waitToFinalize({ withdrawalHash: withdrawal.withdrawalHash, targetChain: faultlineL2 })
  await mark('finalizable', status)
  const settled = await done(l1, await l1Wallet.finalizeWithdrawal({ targetChain: faultlineL2, withdrawal }))
  await mark('settled', status)
  return { settled, withdrawal }
}

// Several at once: each is proven as soon as it can be, and their waits overlap. Gives the L1 receipts that settled them.
export async function settleAll({ account, l1, l2, l1Wallet }, receipts) {
  const proven = []
  for (const receipt of receipts) {
    const { output, withdrawal } = await l1.waitToProve({ receipt, targetChain: faultlineL2 })
    const args = await l2.buildProveWithdrawal({ account, output, withdrawal })
    await done(l1, await l1Wallet.proveWithdrawal(args))
    proven.push(withdrawal)
  }
  const settled = []
  for (const withdrawal of proven) {
    await l1.waitToFinalize({ withdrawalHash: withdrawal.withdrawalHash, targetChain: faultlineL2 })
    settled.push(await done(l1, await l1Wallet.finalizeWithdrawal({ targetChain: faultlineL2, withdrawal })))
  }
  return settled
}

export { assert, until }
