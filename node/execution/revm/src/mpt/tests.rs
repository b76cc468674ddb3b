//! The trie against alloy's builder, and against garbage.

use super::*;
use alloy_primitives::keccak256;
use alloy_trie::{HashBuilder, Nibbles};
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
struct Map(HashMap<B256, Bytes>);

impl NodeSource for Map {
    fn node(&self, at: &Ref) -> Result<Loaded> {
        let rlp = self.0.get(&at.hash).cloned().ok_or(TrieError::Missing(at.hash))?;
        Ok(Loaded { rlp, links: Bytes::new() })
    }
}

/// Random sets and removals, reopened from the store after each commit, against alloy's builder.
#[test]
fn roots_equal_alloys() {
    let (mut store, mut model, mut root) = (Map::default(), BTreeMap::new(), EMPTY_ROOT_HASH);
    let mut seed = B256::ZERO;
    for round in 0..3_000 {
        let mut trie = Trie::at(root);
        for _ in 0..1 + round % 4 {
            seed = keccak256(seed);
            // Few distinct keys that share prefixes, values of one byte up to more than a node.
            let mut key = B256::repeat_byte(seed[0] & 3);
            key[31] = seed[1] & 31;
            key[seed[3] as usize % 32] ^= seed[4] & 1;
            let value = vec![seed[2]; 1 + (seed[5] & 63) as usize];
            if seed[6] < 120 {
                model.remove(&key);
                trie.remove(&key, &store).unwrap();
            } else {
                model.insert(key, value.clone());
                trie.insert(&key, value, &store).unwrap();
            }
        }
        let mut new = Vec::new();
        root = trie.commit(&mut new).hash;
        store.0.extend(new.into_iter().map(|node| (node.hash, node.rlp)));
        let mut builder = HashBuilder::default();
        model.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
        assert_eq!(root, builder.root(), "round {round}");
    }
}

/// A forged node is an error, never a panic.
#[test]
fn garbage_is_corrupt() {
    let mut seed = B256::ZERO;
    for _ in 0..20_000 {
        seed = keccak256(seed);
        let mut raw = [&[0xc0 + (seed[0] & 31)][..], &seed[1..]].concat();
        raw.truncate(1 + (seed[0] & 31) as usize);
        let hash = keccak256(&raw);
        let store = Map(HashMap::from([(hash, raw.into())]));
        let _ = Trie::at(hash).get(&seed, &store);
        let _ = Trie::at(hash).insert(&seed, vec![1], &store);
        let _ = Trie::at(hash).remove(&seed, &store);
    }
}
