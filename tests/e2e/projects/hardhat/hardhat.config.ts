// A project that knows nothing of Faultline but a URL and a chain id, as any project on any network.
import { fileURLToPath } from 'node:url'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import hardhatIgnitionViem from '@nomicfoundation/hardhat-ignition-viem'
import hardhatNodeTestRunner from '@nomicfoundation/hardhat-node-test-runner'
import hardhatViem from '@nomicfoundation/hardhat-viem'
import hardhatViemAssertions from '@nomicfoundation/hardhat-viem-assertions'
import { configVariable, defineConfig } from 'hardhat/config'

const accounts = { mnemonic: 'test test test test test test test test test test test junk', initialIndex: 3, count: 3 }

export default defineConfig({
  plugins: [hardhatViem, hardhatViemAssertions, hardhatEthers, hardhatIgnitionViem, hardhatNodeTestRunner],
  // The compiler of npm's solc: hardhat would download a native one otherwise
  solidity: { version: '0.8.37', path: fileURLToPath(import.meta.resolve('solc/soljson.js')) },
  // Only to save time: by default it waits for five confirmations, and looks once a second
  ignition: { requiredConfirmations: 1, blockPollingInterval: 250 },
  paths: { sources: 'contracts' },
  networks: {
    l1: { type: 'http', chainType: 'l1', chainId: 900, url: configVariable('L1_RPC_URL'), accounts },
    l2: { type: 'http', chainType: 'op', chainId: 901, url: configVariable('L2_RPC_URL'), accounts },
  },
})
