import { fileURLToPath } from 'node:url'
import hardhatNodeTestRunner from '@nomicfoundation/hardhat-node-test-runner'
import hardhatViem from '@nomicfoundation/hardhat-viem'
import hardhatViemAssertions from '@nomicfoundation/hardhat-viem-assertions'
import { configVariable, defineConfig } from 'hardhat/config'

// Everything that differs from one devnet to the next stands in the environment that `faultline exec` gives.
const accounts = [configVariable('ACCOUNT_2_PRIVATE_KEY'), configVariable('ACCOUNT_3_PRIVATE_KEY')]

export default defineConfig({
  plugins: [hardhatViem, hardhatViemAssertions, hardhatNodeTestRunner],
  // npm's compiler, so that nothing is downloaded on the way
  solidity: { version: '0.8.37', path: fileURLToPath(import.meta.resolve('solc/soljson.js')) },
  networks: {
    l1: { type: 'http', chainType: 'l1', chainId: 900, url: configVariable('L1_RPC_URL'), accounts },
    l2: { type: 'http', chainType: 'op', chainId: 901, url: configVariable('L2_RPC_URL'), accounts },
  },
})
