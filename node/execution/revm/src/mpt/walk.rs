//! A key's path through a stored trie, node by node as it was stored: nothing is decoded that is not on the path, and
//! nothing is kept. [`super::Trie::get`] reads the same nodes.

use super::{
    Loaded, Ref, TrieError, Value,
    codec::{expand, item, next_link},
    path::{NIBBLES, nibbles},
};
use alloy_primitives::{B256, Bytes};
use alloy_trie::EMPTY_ROOT_HASH;

/// Most children of a node, and its value.
const ITEMS_MAX: usize = 17;

/// A way through a trie that is not at its end.
#[derive(Debug)]
pub struct Walk {
    nibbles: [u8; NIBBLES],
    /// How many of them are to go.
    left: usize,
    next: Ref,
}

impl Walk {
    /// The way to a key from a root; `None` if nothing is below it.
    pub fn new(root: Ref, key: &B256) -> Option<Self> {
        (root.hash != EMPTY_ROOT_HASH).then(|| Self { nibbles: nibbles(key), left: NIBBLES, next: root })
    }

    /// The node that it goes through next.
    pub fn at(&self) -> Ref {
        self.next
    }

    /// Goes through that node; gives what lies at the key once that is clear.
    pub fn through(&mut self, node: &Loaded) -> Result<Option<Option<Value>>, TrieError> {
        match within(node, &self.nibbles[NIBBLES - self.left..])? {
            Turn::Ended(value) => Ok(Some(value)),
            Turn::Below(child, left) => {
                (self.next, self.left) = (child, left);
                Ok(None)
            }
        }
    }
}

/// The value of a key; `read` is asked for every node on the way, from the root down.
#[cfg(test)]
pub fn walk<E: From<TrieError>>(
    root: Ref,
    key: &B256,
    mut read: impl FnMut(&Ref) -> Result<Loaded, E>,
) -> Result<Option<Value>, E> {
    let Some(mut walk) = Walk::new(root, key) else { return Ok(None) };
    loop {
        if let Some(value) = walk.through(&read(&walk.at())?)? {
            return Ok(value);
        }
    }
}

/// Where a path leads within a stored node and those that stand in it.
enum Turn {
    /// To a value, or to nothing.
    Ended(Option<Value>),
    /// To another node with this many nibbles to go.
    Below(Ref, usize),
}

fn within(loaded: &Loaded, mut rest: &[u8]) -> Result<Turn, TrieError> {
    // Nodes that stand in others name nothing: there links belong to the outermost.
    let (mut here, mut links): (&[u8], &[u8]) = (&loaded.rlp, &loaded.links);
    loop {
        let (is_list, body, tail) = item(here)?;
        if !is_list || !tail.is_empty() {
            return Err(TrieError::Corrupt);
        }
        let child = match pair(body)? {
            Some((path, second)) => {
                let (path, is_leaf) = expand(path)?;
                let Some(left) = rest.strip_prefix(&path[..]) else { return Ok(Turn::Ended(None)) };
                if is_leaf {
                    return Ok(Turn::Ended(if left.is_empty() { leaf(loaded, second, links)? } else { None }));
                }
                if path.is_empty() {
                    return Err(TrieError::Corrupt);
                }
                rest = left;
                second
            }
            None => {
                let (first, left) = rest.split_first().ok_or(TrieError::Corrupt)?;
                rest = left;
                child(body, *first, &mut links)?
            }
        };
        match item(child)? {
            (true, _, _) if child.len() < 32 => (here, links) = (child, &[]),
            (false, [], _) => return Ok(Turn::Ended(None)),
            (false, hash, _) if hash.len() == 32 => {
                let child = Ref { hash: B256::from_slice(hash), link: next_link(&mut links) };
                return Ok(Turn::Below(child, rest.len()));
            }
            _ => return Err(TrieError::Corrupt),
        }
    }
}

fn leaf(loaded: &Loaded, whole: &[u8], mut links: &[u8]) -> Result<Option<Value>, TrieError> {
    let (is_list, value, _) = item(whole)?;
    if is_list {
        return Err(TrieError::Corrupt);
    }
    let rlp: Bytes = loaded.rlp.slice_ref(value);
    Ok(Some(Value { rlp, link: next_link(&mut links) }))
}

/// The path and the second item of a leaf or an extension.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// A leaf's or an extension's; `None` for a branch.
fn pair(body: &[u8]) -> Result<Option<Pair<'_>>, TrieError> {
    let (first_is_list, path, second) = item(body)?;
    if second.is_empty() {
        return Err(TrieError::Corrupt);
    }
    let (_, _, third) = item(second)?;
    if !third.is_empty() {
        return Ok(None);
    }
    if first_is_list { Err(TrieError::Corrupt) } else { Ok(Some((path, second))) }
}

/// A branch's child; `links` then starts with its place.
fn child<'a>(body: &'a [u8], index: u8, links: &mut &[u8]) -> Result<&'a [u8], TrieError> {
    let (mut rest, mut found, mut count) = (body, None, 0);
    while !rest.is_empty() {
        let start = rest;
        let (is_list, payload, tail) = item(rest)?;
        if count == usize::from(index) {
            found = Some(&start[..start.len() - tail.len()]);
        } else if found.is_none() && !is_list && payload.len() == 32 {
            next_link(links);
        }
        (rest, count) = (tail, count + 1);
    }
    if count == ITEMS_MAX { found.ok_or(TrieError::Corrupt) } else { Err(TrieError::Corrupt) }
}
