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
        let _ = walk::<TrieError>(hash.into(), &seed, |at| store.node(at));
        let _ = Trie::at(hash).insert(&seed, vec![1], &store);
        let _ = Trie::at(hash).remove(&seed, &store);
    }
}

/// Whatever decodes is the one form of its node: changed nodes of a real trie, and plain garbage.
#[test]
fn what_decodes_encodes_to_itself() {
    let (source, mut trie, mut new) = (Map::default(), Trie::default(), Vec::new());
    for n in 0..200_u64 {
        let mut key = keccak256(n.to_be_bytes());
        if n % 3 == 0 {
            key[..31].fill(7); // long extensions, and nodes that stand in their parents
        }
        trie.insert(&key, vec![n as u8; 1 + n as usize % 40], &source).unwrap();
    }
    trie.commit(&mut new);
    let (mut seed, mut accepted, mut refused) = (B256::ZERO, 0, 0);
    for round in 0..60_000 {
        seed = keccak256(seed);
        let mut raw = new[round % new.len()].rlp.to_vec();
        for change in seed[..usize::from(seed[31]) % 4 * 3].chunks_exact(3) {
            let at = u16::from_le_bytes([change[0], change[1]]) as usize % raw.len();
            match change[2] % 4 {
                0 => drop(raw.remove(at)),
                1 => raw.insert(at, change[1]),
                _ => raw[at] = change[2] ^ change[0],
            }
            raw.push(change[0]);
            raw.truncate(raw.len() - usize::from(change[2] % 3 > 0));
        }
        let owner = Bytes::from(raw);
        match decode(&owner, &owner, &mut &[][..]) {
            Ok(mut node) => {
                accepted += 1;
                assert_eq!(Encoder::new(None).encode(&mut node).0, owner, "round {round}");
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error, TrieError::Corrupt);
            }
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} and {refused}");
}

/// A forged chain of extensions that lead nowhere must not use the stack up.
#[test]
fn extensions_without_a_path_are_corrupt() {
    let mut store = Map::default();
    let mut below = keccak256(b"below");
    for _ in 0..100_000 {
        let raw = [&[0xe2, 0x00, 0xa0][..], below.as_slice()].concat();
        below = keccak256(&raw);
        store.0.insert(below, raw.into());
    }
    assert_eq!(Trie::at(below).get(&B256::ZERO, &store), Err(TrieError::Corrupt));
    assert_eq!(Trie::at(below).insert(&B256::ZERO, vec![1], &store), Err(TrieError::Corrupt));
    assert_eq!(Trie::at(below).remove(&B256::ZERO, &store), Err(TrieError::Corrupt));
}
