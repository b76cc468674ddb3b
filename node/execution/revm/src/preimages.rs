//! What KECCAK256 was given during a run: geth's keccak256PreimageTracer, and the list in erc7562Tracer's answer.

use crate::{
    errors::Result,
    json,
    watch::{Stop, Watched},
};
use alloy_primitives::{Bytes, keccak256};
use revm::{
    Inspector,
    bytecode::opcode,
    context_interface::ContextTr,
    interpreter::{
        Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Zeros behind the memory that count as data, at most (geth's `memoryPadLimit`).
const PADDING_MAX: usize = 1 << 20;

/// What an entry takes in an answer besides its data.
const ENTRY_SIZE: usize = 80;

/// Notes what is hashed, each once.
#[derive(Debug, Default)]
pub struct Preimages {
    met: BTreeSet<Bytes>,
    /// Bytes that the answer will have.
    size: usize,
}

impl Preimages {
    /// In ascending order.
    pub fn all(&self) -> impl Iterator<Item = &Bytes> {
        self.met.iter()
    }

    /// keccak256PreimageTracer's answer: by hash.
    pub fn finish(&self) -> Result<Vec<u8>> {
        let by_hash: BTreeMap<_, _> = self.met.iter().map(|preimage| (keccak256(preimage), preimage)).collect();
        json::bytes_within(&by_hash, json::SIZE_MAX)
    }
}

/// What an instruction that has not run yet would hash; None for what geth takes no copy of.
fn preimage(memory: &[u8], start: u64, length: u64) -> Option<Bytes> {
    let signed = |number: u64| isize::try_from(number).ok()?.try_into().ok();
    let (start, length): (usize, usize) = (signed(start)?, signed(length)?);
    let Some(end) = start.checked_add(length).filter(|end| isize::try_from(*end).is_ok()) else {
        // geth's sum begins again below zero, so that it looks for nothing behind the memory, and finds it.
        return (start >= memory.len()).then(Bytes::new);
    };
    if end.saturating_sub(memory.len()) > PADDING_MAX {
        return None;
    }
    let mut data = memory.get(start..end.min(memory.len())).unwrap_or_default().to_vec();
    data.resize(length, 0);
    Some(data.into())
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for Preimages {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        if interpreter.bytecode.opcode() != opcode::KECCAK256 {
            return;
        }
        let Ok([start, length]) = interpreter.stack.peek(0).and_then(|top| Ok([top, interpreter.stack.peek(1)?]))
        else {
            return;
        };
        // geth looks at the lowest 64 bits, whatever stands above them.
        let [start, length] = [start.as_limbs()[0], length.as_limbs()[0]];
        let memory = interpreter.memory.slice(0..interpreter.memory.size());
        let Some(data) = preimage(&memory, start, length) else { return };
        let size = ENTRY_SIZE + 2 * data.len();
        if self.met.insert(data) {
            self.size += size;
            if self.size > json::SIZE_MAX {
                context.db_mut().watch.stop(Stop::Size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_memory_is_zero() {
        let memory = [1, 2, 3, 4];
        let of = |start, length| preimage(&memory, start, length).map(|data| data.to_vec());
        assert_eq!(of(1, 2), Some(vec![2, 3]));
        assert_eq!(of(3, 3), Some(vec![4, 0, 0]));
        assert_eq!(of(9, 2), Some(vec![0, 0]));
        assert_eq!(of(0, 0), Some(vec![]));
        assert_eq!(of(4, PADDING_MAX as u64).map(|data| data.len()), Some(PADDING_MAX));
    }

    #[test]
    fn what_geth_takes_no_copy_of_is_none() {
        for (start, length) in [(5, PADDING_MAX as u64), (1 << 40, 0), (u64::MAX, 1), (0, u64::MAX), (1 << 63, 0)] {
            assert_eq!(preimage(&[1, 2, 3, 4], start, length), None);
        }
        assert_eq!(preimage(&[1, 2, 3, 4], 1, (1 << 63) - 1), None);
        assert_eq!(preimage(&[1, 2, 3, 4], (1 << 63) - 1, 1), Some(Bytes::new()));
    }
}
