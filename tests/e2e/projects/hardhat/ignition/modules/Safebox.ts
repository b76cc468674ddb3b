// A deployment of two steps: the box, and something in it.
import { buildModule } from '@nomicfoundation/hardhat-ignition/modules'

export default buildModule('SafeboxModule', (module) => {
  const safebox = module.contract('Safebox', [module.getParameter('limit', 10n ** 18n)])
  module.call(safebox, 'keep', ['from ignition'], { value: 7n })
  return { safebox }
})
