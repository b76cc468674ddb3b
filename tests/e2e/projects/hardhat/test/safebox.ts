// `hardhat test --network l1` and `--network l2`: the same tests on both layers, with viem and with ethers.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { network } from 'hardhat'
import { getAddress, parseEther } from 'viem'

const { viem, ethers } = await network.create()

// Only to save time: viem looks for receipts every four seconds by default
const client = await viem.getPublicClient({ pollingInterval: 250 })
const mined = async (sent: Promise<`0x${string}`>) => {
  const hash = await sent
  await client.waitForTransactionReceipt({ hash })
  return hash
}

describe('Safebox, by viem', () => {
  const deploy = () => viem.deployContract('Safebox', [parseEther('1')], { client: { public: client } })
  let safebox: Awaited<ReturnType<typeof deploy>>
  before(async () => {
    safebox = await deploy()
  })

  it('is on the chain that was asked for', async () => {
    const [id, number] = await safebox.read.chain()
    assert.equal(id, BigInt(await client.getChainId()))
    assert.ok(number > 0n)
  })

  it('emits events that decode', async () => {
    const [owner] = await viem.getWalletClients()
    await viem.assertions.emitWithArgs(
      mined(safebox.write.keep(['for later'], { value: 5n })), safebox, 'Kept',
      [0n, getAddress(owner.account.address), 5n, 'for later'])
    const [kept] = await safebox.getEvents.Kept({}, { fromBlock: 0n, strict: true })
    assert.equal(kept.args.memo, 'for later')
  })

  it('reverts with custom errors that decode', async () => {
    const [, stranger] = await viem.getWalletClients()
    await viem.assertions.revertWithCustomErrorWithArgs(
      safebox.write.keep(['too much'], { value: parseEther('2') }), safebox, 'AboveLimit', [parseEther('2'), parseEther('1')])
    await viem.assertions.revertWithCustomError(
      safebox.write.giveBack([0n], { account: stranger.account }), safebox, 'NotTheOwner')
  })

  it('moves balances as told', async () => {
    await viem.assertions.balancesHaveChanged(
      mined(safebox.write.keep(['measured'], { value: 11n })), [{ address: safebox.address, amount: 11n }])
  })
})

describe('Safebox, by ethers', () => {
  it('deploys, keeps and gives back', async () => {
    const [owner, stranger] = await ethers.getSigners()
    const safebox = await ethers.deployContract('Safebox', [100n])
    await safebox.waitForDeployment()
    const receipt = await (await safebox.keep('by ethers', { value: 3n })).wait()
    const [kept] = receipt.logs.map((log) => safebox.interface.parseLog(log))
    assert.deepEqual([...kept.args], [0n, owner.address, 3n, 'by ethers'])
    await assert.rejects(safebox.connect(stranger).giveBack(0n), (error) => {
      const data = error.data ?? error.cause?.data ?? error.info?.error?.data
      return safebox.interface.parseError(data)?.name === 'NotTheOwner'
    })
    assert.equal((await (await safebox.giveBack(0n)).wait()).status, 1)
    assert.equal(await ethers.provider.getBalance(safebox), 0n)
  })
})
