//! Nodes to RLP and back. Decoding is total: what is not the canonical form of a node is [`TrieError::Corrupt`].

use super::{Branch, LINK, LOCAL, Link, Loaded, NewNode, Node, Ref, Result, TrieError, Value, nibbles};
use alloy_primitives::{B256, keccak256};

/// RLP and links of a loaded node. With `new`, what is new below it is added there.
pub(super) fn encode(node: &mut Node, mut new: Option<&mut Vec<NewNode>>) -> (Vec<u8>, Vec<Link>) {
    let mut body = Vec::with_capacity(544);
    let mut links = Vec::new();
    match node {
        Node::Leaf(leaf) => {
            put_string(&mut body, &compact(&leaf.path, true));
            put_string(&mut body, &leaf.value.rlp);
            if leaf.value.link != 0 {
                links.push(leaf.value.link);
            }
        }
        Node::Ext(ext) => {
            put_string(&mut body, &compact(&ext.path, false));
            put_reference(&mut ext.child, &mut body, &mut links, &mut new);
        }
        Node::Branch(branch) => {
            links.reserve_exact(16);
            for child in &mut branch.children {
                put_reference(child, &mut body, &mut links, &mut new);
            }
            body.push(0x80);
        }
        Node::Empty | Node::Hash(_) => unreachable!("never encoded on its own"),
    }
    let mut out = Vec::with_capacity(body.len() + 3);
    put_length(&mut out, body.len(), 0xc0);
    out.extend_from_slice(&body);
    (out, links)
}

fn put_reference(node: &mut Node, out: &mut Vec<u8>, links: &mut Vec<Link>, new: &mut Option<&mut Vec<NewNode>>) {
    let known = match node {
        Node::Empty => {
            out.push(0x80);
            return;
        }
        Node::Hash(name) => Some(*name),
        _ => *node.name().expect("loaded"),
    };
    let name = known.or_else(|| {
        let (rlp, inner) = encode(node, new.as_deref_mut());
        if rlp.len() < 32 {
            out.extend_from_slice(&rlp); // in place; too short to name anything
            return None;
        }
        Some(match new {
            Some(new) => add(node, rlp, inner, new),
            None => keccak256(&rlp).into(),
        })
    });
    if let Some(name) = name {
        out.push(0xa0);
        out.extend_from_slice(name.hash.as_slice());
        links.push(name.link);
    }
}

/// Adds a new node and names it.
pub(super) fn add(node: &mut Node, rlp: Vec<u8>, links: Vec<Link>, new: &mut Vec<NewNode>) -> Ref {
    let name = Ref { hash: keccak256(&rlp), link: LOCAL | new.len() as u64 };
    *node.name().expect("loaded") = Some(name);
    new.push(NewNode { hash: name.hash, rlp: rlp.into(), links });
    name
}

fn put_string(out: &mut Vec<u8>, data: &[u8]) {
    if data.len() == 1 && data[0] < 0x80 {
        out.push(data[0]);
    } else {
        put_length(out, data.len(), 0x80);
        out.extend_from_slice(data);
    }
}

fn put_length(out: &mut Vec<u8>, len: usize, base: u8) {
    if len < 56 {
        out.push(base + len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        out.push(base + 55 + (8 - zeros) as u8);
        out.extend_from_slice(&bytes[zeros..]);
    }
}

/// Hex-prefix encoding of a path.
fn compact(path: &[u8], leaf: bool) -> Vec<u8> {
    let odd = path.len() & 1;
    let mut out = vec![((leaf as u8) * 2 + odd as u8) << 4];
    let mut rest = path;
    if odd == 1 {
        out[0] |= path[0];
        rest = &path[1..];
    }
    out.extend(rest.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    out
}

/// The nibbles of a hex-prefix path and whether it ends in a leaf. Only the canonical form.
fn expand(data: &[u8]) -> Result<(Vec<u8>, bool)> {
    let flag = *data.first().ok_or(TrieError::Corrupt)?;
    let odd = flag >> 4 & 1 == 1;
    if flag >> 4 > 3 || (!odd && flag & 15 != 0) {
        return Err(TrieError::Corrupt);
    }
    Ok((nibbles(data)[if odd { 1 } else { 2 }..].to_vec(), flag >> 4 & 2 != 0))
}

pub(super) fn decode(data: &[u8], links: &mut &[u8]) -> Result<Node> {
    let (is_list, body, rest) = item(data)?;
    if !is_list || !rest.is_empty() {
        return Err(TrieError::Corrupt);
    }
    let mut items = Vec::with_capacity(17);
    let mut rest = body;
    while !rest.is_empty() {
        let start = rest;
        let (list, payload, tail) = item(rest)?;
        items.push((list, payload, &start[..start.len() - tail.len()]));
        rest = tail;
        if items.len() > 17 {
            return Err(TrieError::Corrupt);
        }
    }
    let mut child = |&(list, payload, whole): &(bool, &[u8], &[u8])| match (list, payload.len()) {
        (true, _) if whole.len() < 32 => decode(whole, &mut &[][..]),
        (false, 0) => Ok(Node::Empty),
        (false, 32) => Ok(Node::Hash(Ref { hash: B256::from_slice(payload), link: next_link(links) })),
        _ => Err(TrieError::Corrupt),
    };
    match &items[..] {
        [path, value] => {
            let (path, leaf) = expand(path.1)?;
            Ok(if leaf {
                Node::leaf(path, Value { rlp: value.1.to_vec(), link: next_link(links) })
            } else {
                Node::ext(path, child(value)?)
            })
        }
        items if items.len() == 17 => {
            let mut branch = Box::<Branch>::default();
            for (slot, item) in branch.children.iter_mut().zip(items) {
                *slot = child(item)?;
            }
            if items[16].1.is_empty() { Ok(Node::Branch(branch)) } else { Err(TrieError::Corrupt) }
        }
        _ => Err(TrieError::Corrupt),
    }
}

/// The children of a node that are named by hash, in the order of its links, and a leaf's value.
pub fn children(node: &Loaded) -> Result<(Vec<Ref>, Option<Value>)> {
    match decode(&node.rlp, &mut &node.links[..])? {
        Node::Leaf(leaf) => Ok((Vec::new(), Some(leaf.value))),
        Node::Ext(ext) => Ok((if let Node::Hash(child) = ext.child { vec![child] } else { Vec::new() }, None)),
        Node::Branch(branch) => {
            let named = |child: &Node| if let Node::Hash(child) = child { Some(*child) } else { None };
            Ok((branch.children.iter().filter_map(named).collect(), None))
        }
        _ => Ok((Vec::new(), None)),
    }
}

/// Takes a link off; a source without places gives none.
pub fn next_link(links: &mut &[u8]) -> Link {
    let Some((first, rest)) = links.split_at_checked(LINK) else { return 0 };
    *links = rest;
    first.iter().rev().fold(0, |n, byte| n << 8 | *byte as u64)
}

/// Splits one RLP item off: (is a list, payload, rest).
fn item(data: &[u8]) -> Result<(bool, &[u8], &[u8])> {
    let first = *data.first().ok_or(TrieError::Corrupt)?;
    let long = |k: usize| -> Result<usize> {
        let bytes = data.get(1..1 + k).filter(|_| k <= 4).ok_or(TrieError::Corrupt)?;
        Ok(bytes.iter().fold(0, |n, byte| n << 8 | *byte as usize))
    };
    let (list, head, len) = match first {
        0..=0x7f => (false, 0, 1),
        0x80..=0xb7 => (false, 1, first as usize - 0x80),
        0xb8..=0xbf => (false, 1 + first as usize - 0xb7, long(first as usize - 0xb7)?),
        0xc0..=0xf7 => (true, 1, first as usize - 0xc0),
        _ => (true, 1 + first as usize - 0xf7, long(first as usize - 0xf7)?),
    };
    let end = head + len;
    if end > data.len() {
        return Err(TrieError::Corrupt);
    }
    Ok((list, &data[head..end], &data[end..]))
}
