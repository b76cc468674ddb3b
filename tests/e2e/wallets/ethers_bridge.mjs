// A deposit and a whole withdrawal with ethers v6 and the contracts' ABI alone: node ethers_bridge.mjs
import { AbiCoder, Contract, HDNodeWallet, JsonRpcProvider, Wallet, keccak256, parseEther } from 'ethers'
import { readFileSync } from 'node:fs'
import { assert, mnemonic, until } from './common.mjs'

const addresses = JSON.parse(readFileSync(new URL('./addresses.json', import.meta.url)))
const { l1: on1, l2: on2 } = addresses.contracts
const provider = (url) => new JsonRpcProvider(url, undefined, { batchMaxCount: 1, pollingInterval: 200 })
const [l1, l2] = [provider(addresses.l1.rpc[0]), provider(addresses.l2.rpc[0])]
const key = HDNodeWallet.fromPhrase(mnemonic, undefined, "m/44'/60'/0'/0/8").privateKey
const [l1Wallet, l2Wallet] = [new Wallet(key, l1), new Wallet(key, l2)]
const message = 'tuple(uint256 nonce, address sender, address target, uint256 value, uint256 gasLimit, bytes data)'
const portal = new Contract(on1.portal, [
  'function depositTransaction(address, uint256, uint64, bool, bytes) payable',
  `function proveWithdrawalTransaction(${message}, uint256, tuple(bytes32 version, bytes32 stateRoot, bytes32 messagePasserStorageRoot, bytes32 latestBlockhash), bytes[])`,
  `function finalizeWithdrawalTransaction(${message})`,
  'function checkWithdrawal(bytes32, address) view',
  'function finalizedWithdrawals(bytes32) view returns (bool)',
  'error OptimismPortal_Unproven()', 'error OptimismPortal_ProofNotOldEnough()', 'error OptimismPortal_InvalidRootClaim()',
  'error OptimismPortal_AlreadyFinalized()',
], l1Wallet)
const factory = new Contract(on1.disputeGameFactory, [
  'function gameCount() view returns (uint256)',
  'function findLatestGames(uint32, uint256, uint256) view returns (tuple(uint256 index, bytes32 metadata, uint64 timestamp, bytes32 rootClaim, bytes extraData)[])',
], l1)
const passer = new Contract(on2.l2ToL1MessagePasser, [
  'function initiateWithdrawal(address, uint256, bytes) payable',
  'event MessagePassed(uint256 indexed nonce, address indexed sender, address indexed target, uint256 value, uint256 gasLimit, bytes data, bytes32 withdrawalHash)',
], l2Wallet)
const coder = AbiCoder.defaultAbiCoder()
const stranger = Wallet.createRandom().address

// A deposit, to the wei
await (await portal.depositTransaction(stranger, 77n, 100_000, false, '0x', { value: 77n })).wait()
await until('the deposit', async () => (await l2.getBalance(stranger)) === 77n)

// Initiated
const receipt = await (await passer.initiateWithdrawal(stranger, 50_000, '0x', { value: parseEther('0.25') })).wait()
const sent = receipt.logs.map((log) => passer.interface.parseLog(log)).find((log) => log?.name === 'MessagePassed').args
const transaction = [sent.nonce, sent.sender, sent.target, sent.value, sent.gasLimit, sent.data]
assert.equal(keccak256(coder.encode(['uint256', 'address', 'address', 'uint256', 'uint256', 'bytes'], transaction)), sent.withdrawalHash)
const refusal = async () => {
  try {
    await portal.checkWithdrawal(sent.withdrawalHash, l1Wallet.address)
    return null
  } catch (error) {
    return error.revert?.name ?? String(error)
  }
}
assert.equal(await refusal(), 'OptimismPortal_Unproven')

// Proven under the first game that covers it
const game = await until('a game', async () => {
  const count = await factory.gameCount()
  const games = await factory.findLatestGames(900, count - 1n, 20)
  return [...games].reverse().find(({ extraData }) => BigInt(extraData.slice(0, 66)) >= BigInt(receipt.blockNumber))
})
const number = `0x${BigInt(game.extraData.slice(0, 66)).toString(16)}`
const slot = keccak256(coder.encode(['bytes32', 'uint256'], [sent.withdrawalHash, 0]))
const block = await l2.send('eth_getBlockByNumber', [number, false])
const proof = await l2.send('eth_getProof', [on2.l2ToL1MessagePasser, [slot], number])
assert.equal(proof.storageProof[0].value, '0x1')
assert.equal(block.withdrawalsRoot, proof.storageHash)
await (await portal.proveWithdrawalTransaction(
  transaction, game.index, [`0x${'00'.repeat(32)}`, block.stateRoot, proof.storageHash, block.hash], proof.storageProof[0].proof)).wait()

// Waited for, with the reasons that wallets read
const reasons = new Set()
await until('the withdrawal to be ready', async () => {
  const found = await refusal()
  if (found) reasons.add(found)
  return found === null
})
assert.deepEqual([...reasons].filter((one) => !/ProofNotOldEnough|InvalidRootClaim/.test(one)), [])
assert.ok(reasons.size > 0)

// Settled, once
const before = await l1.getBalance(stranger)
await (await portal.finalizeWithdrawalTransaction(transaction)).wait()
assert.equal((await l1.getBalance(stranger)) - before, parseEther('0.25'))
assert.equal(await portal.finalizedWithdrawals(sent.withdrawalHash), true)
assert.equal(await refusal(), 'OptimismPortal_AlreadyFinalized')
console.log(JSON.stringify({ game: game.index.toString(), reasons: [...reasons] }))
process.exit(0)
