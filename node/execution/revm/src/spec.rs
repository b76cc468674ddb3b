//! The chain as its genesis file describes it: which forks are active when, the blob schedule, a block's environment.

use crate::{
    errors::{Error, Result},
    transactions::Signing,
};
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
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Stands for a merge that has not happened.
const NEVER: u64 = u64::MAX;

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
    /// The first block of proof of stake, shared by all clones; `NEVER` while it is not known.
    merge_block: Arc<AtomicU64>,
}

impl L1Spec {
    /// Reads geth's `config` object.
    pub fn new(config: ChainConfig, portal: Option<Address>) -> Result<Self> {
        if config.amsterdam_time.is_some() {
            return Err(Error::Argument("genesis: config.amsterdamTime is a fork this engine does not know".into()));
        }
        let merge_block = match (config.merge_netsplit_block, config.terminal_total_difficulty) {
            (Some(number), _) => Some(number),
            (None, Some(difficulty)) => (difficulty.is_zero() || config.terminal_total_difficulty_passed).then_some(0),
            // A chain that has a later fork has merged.
            (None, None) => config.shanghai_time.map(|_| 0),
        };
        let merge_block = Arc::new(AtomicU64::new(merge_block.unwrap_or(NEVER)));
        let blobs = config.blob_schedule_blob_params();
        Ok(Self { chain_id: config.chain_id, portal, config, blobs, merge_block })
    }

    /// Where difficulty has been counted: the first block of proof of stake, in place of what the file lets guess.
    pub fn merge_at(&self, number: Option<u64>) {
        self.merge_block.store(number.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Total difficulty after which proof of stake begins, on a chain that has begun with work.
    pub fn terminal_difficulty(&self) -> Option<U256> {
        self.config.terminal_total_difficulty.filter(|difficulty| !difficulty.is_zero())
    }

    /// Where the DAO fork happens, on either side of it.
    pub fn dao_fork_block(&self) -> Option<u64> {
        self.config.dao_fork_block
    }

    /// Whether this chain is on the side that moved the DAO's ether.
    pub fn moves_dao_ether(&self) -> bool {
        self.config.dao_fork_support
    }

    /// Whether a fork that has no method of its own is active.
    pub fn is_active(&self, fork: EthereumHardfork, number: u64) -> bool {
        self.ethereum_fork_activation(fork).active_at_block(number)
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

    /// Which signatures a block may hold.
    pub fn signing(&self, number: u64) -> Signing {
        Signing {
            chain_id: self.chain_id,
            low_s: self.is_homestead_active_at_block(number),
            protected: self.is_spurious_dragon_active_at_block(number),
        }
    }

    /// The EVM's rules at a block.
    pub fn rules(&self, number: u64, timestamp: u64) -> SpecId {
        spec_by_timestamp_and_block_number(self, timestamp, number)
    }

    /// The rules of a block that overrides have moved, as geth's `ChainConfig.Rules` has them: forks that begin with a time
    /// count only on proof of stake, and that only from London on.
    pub fn moved_rules(&self, number: u64, timestamp: u64, merged: bool) -> SpecId {
        if merged && self.is_london_active_at_block(number) {
            self.rules(number, timestamp).max(SpecId::MERGE)
        } else {
            self.rules(number, 0).min(SpecId::LONDON)
        }
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
            // Ours to apply (`dao`): alloy-evm moves the ether behind the block's transactions.
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
            Paris => match self.merge_block.load(Ordering::Relaxed) {
                NEVER => ForkCondition::Never,
                number => ForkCondition::TTD {
                    activation_block_number: number,
                    fork_block: None,
                    total_difficulty: config.terminal_total_difficulty.unwrap_or(U256::ZERO),
                },
            },
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
