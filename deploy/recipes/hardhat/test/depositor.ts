import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from 'hardhat'
import { createPublicClient, getAddress, http, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts'

const { viem } = await network.create()
const l2 = createPublicClient({ transport: http(process.env.L2_RPC_URL) })

describe('Depositor', () => {
  it('sends to L2 whatever it is given on L1', async () => {
    const depositor = await viem.deployContract('Depositor', [process.env.L1_PORTAL_ADDRESS])
    const receiver = getAddress(privateKeyToAddress(generatePrivateKey()))
    const value = parseEther('1.5')
    await viem.assertions.emitWithArgs(depositor.write.send([receiver], { value }), depositor, 'Sent', [receiver, value])
    // L2 holds it within a slot or two, whatever the sequencer thinks of it
    const end = Date.now() + 240_000
    while ((await l2.getBalance({ address: receiver })) !== value) {
      assert.ok(Date.now() < end, 'the deposit arrives')
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  })
})
