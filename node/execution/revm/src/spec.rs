//! The chain as its genesis file describes it: which forks are active when, the blob schedule, a block's environment.

use crate::errors::{Error, Result};
use alloy_consensus::Header;
use alloy_eips::{BlobScheduleBlobParams, eip7840::BlobParams};
use alloy_evm::{
    EvmEnv, EvmFactory,
    eth::{EthEvmFactory, spec::EthExecutorSpec},
    precompiles::PrecompilesMap,
    spec_by_timestamp_and_block_number,
};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use revm::{context::BlockEnv, primitives::hardfork::SpecId};

/// What differs between chains for calls and traces.
pub trait Chain: EthereumHardforks {
    /// Makes this chain's EVM.
    type Factory: EvmFactory<BlockEnv = BlockEnv, Precompiles = PrecompilesMap> + Default;

    /// The environment of a block.
    fn env(&self, header: &Header) -> EvmEnv<<Self::Factory as EvmFactory>::Spec>;
}

/// The L1.
#[derive(Debug, Clone)]
pub struct L1Spec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The rollup's portal, whose logs become one more request type; `None` on a foreign chain.
    pub portal: Option<Address>,
    config: ChainConfig,
    blobs: BlobScheduleBlobParams,
    /// The first block of proof of stake.
    merge_block: Option<u64>,
}

impl L1Spec {
    /// Reads geth's `config` object.
    pub fn new(config: ChainConfig, portal: Option<Address>) -> Result<Self> {
        if config.amsterdam_time.is_some() {
            return Err(Error::Argument("genesis: config.amsterdamTime is a fork this engine does not know".into()));
        }
        if config.dao_fork_block.is_some_and(|_| config.dao_fork_support) {
            return Err(Error::Argument(
                "genesis: config.daoForkSupport moves mainnet's accounts; leave it out".into(),
            ));
        }
        let merge_block = match (config.merge_netsplit_block, config.terminal_total_difficulty) {
            (Some(number), _) => Some(number),
            (None, Some(difficulty)) if difficulty.is_zero() || config.terminal_total_difficulty_passed => Some(0),
            (None, Some(_)) => {
                let message = "genesis: config.mergeNetsplitBlock must say where terminalTotalDifficulty is reached";
                return Err(Error::Argument(message.into()));
            }
            // A chain that has a later fork has merged.
            (None, None) => config.shanghai_time.map(|_| 0),
        };
        let blobs = config.blob_schedule_blob_params();
        Ok(Self { chain_id: config.chain_id, portal, config, blobs, merge_block })
    }

    /// The blob schedule's entry in force.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        if let Some(params) = self.blobs.active_scheduled_params_at_timestamp(timestamp) {
            Some(*params)
        } else if self.is_osaka_active_at_timestamp(timestamp) {
            Some(self.blobs.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(self.blobs.prague)
        } else {
            self.is_cancun_active_at_timestamp(timestamp).then_some(self.blobs.cancun)
        }
    }

    /// The EVM's rules at a block.
    pub fn rules(&self, number: u64, timestamp: u64) -> SpecId {
        spec_by_timestamp_and_block_number(self, timestamp, number)
    }

    /// The newest rules that the genesis file names.
    pub fn newest_rules(&self) -> SpecId {
        self.rules(u64::MAX, u64::MAX)
    }
}

impl EthereumHardforks for L1Spec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        use EthereumHardfork::*;
        let config = &self.config;
        let block = |number: Option<u64>| number.map_or(ForkCondition::Never, ForkCondition::Block);
        let time = |time: Option<u64>| time.map_or(ForkCondition::Never, ForkCondition::Timestamp);
        match fork {
            Frontier => ForkCondition::ZERO_BLOCK,
            Homestead => block(config.homestead_block),
            // An irregular state change; refused above.
            Dao => ForkCondition::Never,
            Tangerine => block(config.eip150_block),
            SpuriousDragon => block(config.eip158_block.or(config.eip155_block)),
            Byzantium => block(config.byzantium_block),
            Constantinople => block(config.constantinople_block),
            // Until it is set apart, geth lets it begin with Constantinople.
            Petersburg => block(config.petersburg_block.or(config.constantinople_block)),
            Istanbul => block(config.istanbul_block),
            MuirGlacier => block(config.muir_glacier_block),
            Berlin => block(config.berlin_block),
            London => block(config.london_block),
            ArrowGlacier => block(config.arrow_glacier_block),
            GrayGlacier => block(config.gray_glacier_block),
            Paris => self.merge_block.map_or(ForkCondition::Never, |number| ForkCondition::TTD {
                activation_block_number: number,
                fork_block: None,
                total_difficulty: config.terminal_total_difficulty.unwrap_or(U256::ZERO),
            }),
            Shanghai => time(config.shanghai_time),
            Cancun => time(config.cancun_time),
            Prague => time(config.prague_time),
            Osaka => time(config.osaka_time),
            Bpo1 => time(config.bpo1_time),
            Bpo2 => time(config.bpo2_time),
            Bpo3 => time(config.bpo3_time),
            Bpo4 => time(config.bpo4_time),
            Bpo5 => time(config.bpo5_time),
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for L1Spec {
    fn deposit_contract_address(&self) -> Option<Address> {
        // `None` would mean mainnet's contract to alloy-evm. Nobody can make the zero address log anything.
        Some(self.config.deposit_contract_address.unwrap_or_default())
    }
}

impl Chain for L1Spec {
    type Factory = EthEvmFactory;

    fn env(&self, header: &Header) -> EvmEnv {
        EvmEnv::for_eth_block(header, self, self.chain_id, self.blob_params(header.timestamp))
    }
}
