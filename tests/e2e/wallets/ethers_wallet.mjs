// The same ground with ethers v6: node ethers_wallet.mjs RPC_URL WS_URL
import {
  ContractFactory, HDNodeWallet, JsonRpcProvider, WebSocketProvider, Wallet, parseEther, keccak256, Transaction,
} from 'ethers'
import { assert, mnemonic, notebook, rpcUrl, until, wsUrl } from './common.mjs'

const provider = new JsonRpcProvider(rpcUrl, undefined, { polling: true, pollingInterval: 250 })
const socket = new WebSocketProvider(wsUrl)
const wallet = HDNodeWallet.fromPhrase(mnemonic, undefined, "m/44'/60'/0'/0/4").connect(provider)

assert.equal((await provider.getNetwork()).chainId, 900n)
const blocks = []
socket.on('block', (number) => blocks.push(number))

const stranger = Wallet.createRandom().connect(provider)
const sent = await wallet.sendTransaction({ to: stranger.address, value: parseEther('2') })
const receipt = await sent.wait(1, 120_000)
assert.equal(receipt.status, 1)
assert.equal(await provider.getBalance(stranger.address), parseEther('2'))
const back = await provider.getTransaction(sent.hash)
assert.equal(Transaction.from(back).hash, sent.hash)

const factory = new ContractFactory(notebook.abi, notebook.bytecode, wallet)
const contract = await factory.deploy(11n)
await contract.waitForDeployment()
assert.equal(await contract.number(), 11n)
const noted = await (await contract.note(12n)).wait(1, 120_000)
assert.equal(noted.logs.length, 1)
assert.equal(noted.logs[0].args.number, 12n)
const events = await contract.queryFilter(contract.filters.Noted(wallet.address), noted.blockNumber)
assert.equal(events.length, 1)
await assert.rejects(contract.refuse(), (error) => {
  assert.equal(error.code, 'CALL_EXCEPTION')
  assert.equal(error.reason, 'the notebook is closed')
  return true
})
assert.equal(await contract.number({ blockTag: noted.blockNumber - 1 }), 11n)
assert.equal(keccak256(await provider.getCode(await contract.getAddress())), keccak256(await provider.getCode(await contract.getAddress(), 'latest')))
await assert.rejects(stranger.sendTransaction({ to: wallet.address, value: parseEther('5') }), (error) => error.code === 'INSUFFICIENT_FUNDS')
await assert.rejects(wallet.sendTransaction({ to: stranger.address, nonce: 0 }), (error) => error.code === 'NONCE_EXPIRED')
const fees = await provider.getFeeData()
assert.ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n)

const block = await provider.getBlock(receipt.blockNumber, true)
assert.ok(block.prefetchedTransactions.some((tx) => tx.hash === sent.hash))
await until('finality', async () => (await provider.getBlock('finalized')).number >= receipt.blockNumber)
await until('blocks over the socket', () => blocks.length >= 2)
console.log(JSON.stringify({ block: receipt.blockNumber, blocks: blocks.length }))
process.exit(0)
