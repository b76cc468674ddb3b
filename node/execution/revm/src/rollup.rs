//! The rollup as a genesis file's top-level `rollup` object describes it, and its rules: Isthmus, with MODEXP and
//! P256VERIFY priced as on Osaka (EIP-7823, 7883, 7951), because L1 must be able to repeat every block for its gas.
//!
//! Deliberately absent: derivation. What a block is made of is `node.rollup`'s; here it is executed.

use crate::errors::{Error, Result};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip7685::EMPTY_REQUESTS_HASH};
use alloy_evm::EvmEnv;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_evm::evm_env_for_op_block;
use alloy_op_hardforks::{OpChainHardforks, OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, keccak256, map::B256Map};
use op_revm::{OpSpecId, precompiles::isthmus};
use revm::precompile::{Precompiles, modexp, secp256r1};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

/// The vault that a block's priority fees go to.
pub const SEQUENCER_FEE_VAULT: Address = address!("4200000000000000000000000000000000000011");

/// The vault that is given a block's base fees.
pub const BASE_FEE_VAULT: Address = address!("4200000000000000000000000000000000000019");

/// Its storage root is the header's withdrawals root (Isthmus).
pub const MESSAGE_PASSER: Address = address!("4200000000000000000000000000000000000016");

/// Holocene's: version 0, denominator 250, elasticity 6 (those of a base fee that would move).
pub const EXTRA_DATA: [u8; 9] = [0, 0, 0, 0, 250, 0, 0, 0, 6];

/// EIP-2935: where the hashes of ancestors are read, and how many it keeps.
pub const HISTORY: Address = HISTORY_STORAGE_ADDRESS;
pub const HISTORY_WINDOW: u64 = 8191;

/// The file's part that is ours.
#[derive(Debug, Deserialize)]
struct Document {
    rollup: Option<Named>,
}

/// What both layers' files name.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Named {
    chain_id: u64,
    pub portal: Option<Address>,
    /// Of the rollup's blocks.
    pub gas_limit: Option<u64>,
}

/// What only the rollup's own engine needs.
#[derive(Debug, Deserialize)]
struct Own {
    rollup: Limits,
}

/// The constants of its blocks.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Limits {
    pub gas_limit: u64,
    pub base_fee_wei: u64,
    /// Raw bytes of a block's user transactions.
    pub transactions_limit_bytes: usize,
    /// Bytes of a block's witness, by the witness rule.
    pub witness_limit_bytes: usize,
}

/// What a genesis file says of a rollup.
#[derive(Debug)]
pub enum Role {
    /// A chain whose blocks are a rollup's.
    Rollup(L2Spec),
    /// A chain that may hold a rollup: its portal's logs become requests, its precompile executes the rollup's blocks.
    Host(Option<Named>),
}

impl Role {
    /// Reads the `rollup` object.
    pub fn parse(json: &[u8], genesis: &Genesis) -> Result<Self> {
        let chain_id = genesis.config.chain_id;
        let refused = |error| Error::Argument(format!("genesis: rollup: {error}"));
        let document: Document = serde_json::from_slice(json).map_err(refused)?;
        match document.rollup {
            Some(named) if named.chain_id == chain_id => {
                let own: Own = serde_json::from_slice(json).map_err(refused)?;
                let codes = genesis.alloc.values().filter_map(|account| account.code.as_ref());
                let lengths = codes.map(|code| (keccak256(code), code.len())).collect();
                let system_codes = [HISTORY, BEACON_ROOTS_ADDRESS].map(|address| {
                    let code = genesis.alloc.get(&address).and_then(|account| account.code.as_ref());
                    (address, code.map_or(KECCAK256_EMPTY, keccak256))
                });
                Ok(Self::Rollup(L2Spec::new(chain_id, own.rollup, lengths, system_codes)))
            }
            named => Ok(Self::Host(named)),
        }
    }
}

/// The rollup.
#[derive(Debug, Clone)]
pub struct L2Spec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    pub limits: Limits,
    /// Lengths of the genesis file's codes by hash: the meter knows them before it has seen the code.
    pub code_lengths: Arc<B256Map<usize>>,
    /// The contracts that every block calls with 30M gas that nobody pays, and the hashes of the codes they have from the
    /// genesis file on. A state in which they have others is forged, and executing a block on it has no bound.
    pub system_codes: [(Address, B256); 2],
    forks: OpChainHardforks,
}

impl L2Spec {
    /// Every fork up to Isthmus from genesis on. `OpChainHardforks` reads a missing tail as "never".
    fn new(chain_id: u64, limits: Limits, code_lengths: B256Map<usize>, system_codes: [(Address, B256); 2]) -> Self {
        let active = OpHardfork::VARIANTS.iter().filter(|fork| fork.idx() <= OpHardfork::Isthmus.idx());
        let at = |fork: &OpHardfork| match fork {
            OpHardfork::Bedrock => ForkCondition::ZERO_BLOCK,
            _ => ForkCondition::ZERO_TIMESTAMP,
        };
        let forks = OpChainHardforks::new(active.map(|fork| (*fork, at(fork))));
        Self { chain_id, limits, code_lengths: Arc::new(code_lengths), system_codes, forks }
    }

    /// The environment of a block.
    pub fn env(&self, header: &Header) -> EvmEnv<OpSpecId> {
        evm_env_for_op_block(header, self, self.chain_id)
    }

    /// The precompiles of its blocks: none is cheaper than on L1.
    pub fn precompiles() -> &'static Precompiles {
        static PRECOMPILES: LazyLock<Precompiles> = LazyLock::new(|| {
            let mut precompiles = isthmus().clone();
            precompiles.extend([modexp::OSAKA, secp256r1::P256VERIFY_OSAKA]);
            precompiles
        });
        &PRECOMPILES
    }

    /// The same rules in geth's words, for calls: without deposits and fees an EVM of Isthmus is one of Prague. What
    /// the file itself says of forks does not count.
    pub fn config(chain_id: u64) -> ChainConfig {
        ChainConfig {
            chain_id,
            homestead_block: Some(0),
            eip150_block: Some(0),
            eip155_block: Some(0),
            eip158_block: Some(0),
            byzantium_block: Some(0),
            constantinople_block: Some(0),
            petersburg_block: Some(0),
            istanbul_block: Some(0),
            berlin_block: Some(0),
            london_block: Some(0),
            merge_netsplit_block: Some(0),
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            shanghai_time: Some(0),
            cancun_time: Some(0),
            prague_time: Some(0),
            ..Default::default()
        }
    }

    /// The genesis header over a state; the message passer's storage root is its withdrawals root.
    pub fn genesis_header(&self, genesis: &Genesis, state_root: B256, withdrawals_root: B256) -> Header {
        Header {
            number: genesis.number.unwrap_or_default(),
            beneficiary: genesis.coinbase,
            gas_limit: genesis.gas_limit,
            timestamp: genesis.timestamp,
            extra_data: genesis.extra_data.clone(),
            mix_hash: genesis.mix_hash,
            base_fee_per_gas: Some(genesis.base_fee_per_gas.map_or(self.limits.base_fee_wei, |fee| fee as u64)),
            state_root,
            withdrawals_root: Some(withdrawals_root),
            parent_beacon_block_root: Some(B256::ZERO),
            ..fixed()
        }
    }
}

impl EthereumHardforks for L2Spec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.forks.ethereum_fork_activation(fork)
    }
}

impl OpHardforks for L2Spec {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        self.forks.op_fork_activation(fork)
    }
}

/// What is the same in every header.
fn fixed() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}

/// What a block is told.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    pub timestamp: u64,
    pub mix_hash: B256,
    pub parent_beacon_block_root: B256,
}

impl Attributes {
    /// Those of a sealed block.
    pub fn of(header: &Header) -> Self {
        let parent_beacon_block_root = header.parent_beacon_block_root.unwrap_or_default();
        Self { timestamp: header.timestamp, mix_hash: header.mix_hash, parent_beacon_block_root }
    }

    /// The header so far: its environment is complete, its roots are not. Timestamps may repeat.
    pub fn header(&self, spec: &L2Spec, parent: &Header) -> Result<Header> {
        let number = parent.number.checked_add(1).ok_or(Error::Argument("the parent has the last number".into()))?;
        if self.timestamp < parent.timestamp {
            let words = format!("timestamp: {} is below {}", self.timestamp, parent.timestamp);
            return Err(Error::Argument(words));
        }
        Ok(Header {
            parent_hash: parent.hash_slow(),
            beneficiary: SEQUENCER_FEE_VAULT,
            number,
            gas_limit: spec.limits.gas_limit,
            timestamp: self.timestamp,
            extra_data: Bytes::from_static(&EXTRA_DATA),
            mix_hash: self.mix_hash,
            base_fee_per_gas: Some(spec.limits.base_fee_wei),
            parent_beacon_block_root: Some(self.parent_beacon_block_root),
            ..fixed()
        })
    }
}
