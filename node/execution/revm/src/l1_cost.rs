//! What a rollup's transaction pays for its bytes on L1, where it is clear without compressing them.
//!
//! op-revm computes the fee, and clears a table of 32 KiB for each transaction to estimate how well it compresses; a transfer is
//! shorter than the least size that is paid for, whatever it holds.

use alloy_primitives::U256;
use op_revm::{L1BlockInfo, OpSpecId};

/// The longest transaction that pays for the least size whatever it holds.
///
/// Fjord takes `max(100, 0.8365 * fastlz - 42.5856)` bytes, and FastLZ makes `n` bytes no longer than `n + ceil(n / 32)`: a match
/// is at least as long as what stands for it and the byte that the literals after it begin with.
pub const LEAST_SIZE_BYTES: usize = 164;

/// What a transaction of the least size pays L1.
pub fn least_l1_cost(fees: &L1BlockInfo) -> U256 {
    let mut fees = fees.clone();
    fees.clear_tx_l1_cost();
    fees.calculate_tx_l1_cost(&[0], OpSpecId::ISTHMUS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, keccak256};

    fn fees() -> L1BlockInfo {
        L1BlockInfo {
            l1_base_fee: U256::from(2_000_000_007_u64),
            l1_base_fee_scalar: U256::from(1_368),
            l1_blob_base_fee: Some(U256::from(3)),
            l1_blob_base_fee_scalar: Some(U256::from(810_949)),
            operator_fee_scalar: Some(U256::ZERO),
            operator_fee_constant: Some(U256::ZERO),
            ..Default::default()
        }
    }

    fn cost(raw: &[u8]) -> U256 {
        fees().calculate_tx_l1_cost(raw, OpSpecId::ISTHMUS)
    }

    /// Bytes that compress worst, well, and in between: runs of a random stream, some of which come again.
    fn bytes(seed: B256, length: usize) -> Vec<u8> {
        let alphabet = 1 << (seed[0] % 9);
        let mut made = vec![2];
        let mut next = seed;
        while made.len() < length {
            next = keccak256(next);
            let run = 1 + usize::from(next[0] % 24);
            if next[1].is_multiple_of(3) && made.len() > run {
                let start = usize::from(next[2]) % (made.len() - run);
                made.extend_from_within(start..start + run);
            } else {
                made.extend(next[3..3 + run].iter().map(|byte| (u16::from(*byte) % alphabet) as u8));
            }
        }
        made.truncate(length);
        made
    }

    #[test]
    fn short_transactions_pay_for_the_least_size_whatever_they_hold() {
        let mut seed = B256::ZERO;
        for round in 0..20_000 {
            seed = keccak256(seed);
            let length = if round % 2 == 0 { LEAST_SIZE_BYTES } else { 1 + usize::from(seed[1]) % LEAST_SIZE_BYTES };
            assert_eq!(cost(&bytes(seed, length)), least_l1_cost(&fees()), "round {round}");
        }
    }

    #[test]
    fn one_byte_more_may_pay_for_more() {
        let distinct: Vec<u8> = (0..=LEAST_SIZE_BYTES as u8).collect();
        assert_eq!(distinct.len(), LEAST_SIZE_BYTES + 1);
        assert!(cost(&distinct) > least_l1_cost(&fees()));
        assert_eq!(cost(&distinct[1..]), least_l1_cost(&fees()));
    }
}
