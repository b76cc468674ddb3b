//! Nodes to RLP and back. Decoding is total: what is not the canonical form of a node is [`TrieError::Corrupt`].

use super::{Branch, LINK, LOCAL, Link, Loaded, NewNode, Node, Ref, Result, TrieError, Value, path::Path};
use alloy_primitives::{B256, Bytes, keccak256};

/// Room for the longest node.
const NODE_BYTES: usize = 544;

/// Encodes nodes, children first.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    /// What is new is added here; without it nothing is named.
    new: Option<&'a mut Vec<NewNode>>,
    body: Vec<u8>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(new: Option<&'a mut Vec<NewNode>>) -> Self {
        Self { new, body: Vec::with_capacity(NODE_BYTES) }
    }

    /// RLP and links of a loaded node.
    pub(super) fn encode(&mut self, node: &mut Node) -> (Vec<u8>, Vec<Link>) {
        // Before this node's own bytes, which share the buffer.
        match node {
            Node::Ext(ext) => self.settle(&mut ext.child),
            Node::Branch(branch) => branch.children.iter_mut().for_each(|child| self.settle(child)),
            _ => {}
        }
        self.body.clear();
        let mut links = Vec::new();
        match node {
            Node::Leaf(leaf) => {
                put_path(&mut self.body, &leaf.path, true);
                put_string(&mut self.body, &leaf.value.rlp);
                if leaf.value.link != 0 {
                    links.push(leaf.value.link);
                }
            }
            Node::Ext(ext) => {
                put_path(&mut self.body, &ext.path, false);
                put_reference(&mut ext.child, &mut self.body, &mut links);
            }
            Node::Branch(branch) => {
                links.reserve_exact(16);
                for child in &mut branch.children {
                    put_reference(child, &mut self.body, &mut links);
                }
                self.body.push(0x80);
            }
            Node::Empty | Node::Hash(_) => unreachable!("never encoded on its own"),
        }
        let mut out = Vec::with_capacity(self.body.len() + 3);
        put_length(&mut out, self.body.len(), 0xc0);
        out.extend_from_slice(&self.body);
        (out, links)
    }

    /// Names a node that is new, unless it is so short that it stands in its parent.
    fn settle(&mut self, node: &mut Node) {
        if self.new.is_some() && node.name().is_some_and(|name| name.is_none()) {
            let (rlp, links) = self.encode(node);
            if rlp.len() >= 32 {
                self.add(node, rlp, links);
            }
        }
    }

    /// Adds a new node, if such are wanted, and names it.
    pub(super) fn add(&mut self, node: &mut Node, rlp: Vec<u8>, links: Vec<Link>) -> Ref {
        let Some(new) = &mut self.new else { return keccak256(&rlp).into() };
        let name = Ref { hash: keccak256(&rlp), link: LOCAL | new.len() as u64 };
        *node.name().expect("loaded") = Some(name);
        new.push(NewNode { hash: name.hash, rlp: rlp.into(), links });
        name
    }
}

fn put_reference(node: &mut Node, out: &mut Vec<u8>, links: &mut Vec<Link>) {
    let name = match node {
        Node::Empty => {
            out.push(0x80);
            return;
        }
        Node::Hash(name) => *name,
        _ => match *node.name().expect("loaded") {
            Some(name) => name,
            None => {
                let (rlp, _) = Encoder::new(None).encode(node);
                if rlp.len() < 32 {
                    out.extend_from_slice(&rlp); // in place; too short to name anything
                    return;
                }
                keccak256(&rlp).into()
            }
        },
    };
    out.push(0xa0);
    out.extend_from_slice(name.hash.as_slice());
    links.push(name.link);
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

/// Hex-prefix encoding of a path, as a string.
fn put_path(out: &mut Vec<u8>, path: &[u8], leaf: bool) {
    let (first, rest) = path.split_at(path.len() & 1);
    if path.len() > 1 {
        out.push(0x80 + 1 + (path.len() / 2) as u8);
    }
    let flag = u8::from(leaf) << 1 | first.len() as u8;
    out.push(flag << 4 | first.first().unwrap_or(&0));
    out.extend(rest.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
}

/// The nibbles of a hex-prefix path and whether it ends in a leaf. Only the canonical form.
pub(super) fn expand(data: &[u8]) -> Result<(Path, bool)> {
    let flag = *data.first().ok_or(TrieError::Corrupt)?;
    let odd = flag >> 4 & 1 == 1;
    if flag >> 4 > 3 || (!odd && flag & 15 != 0) {
        return Err(TrieError::Corrupt);
    }
    Ok((Path::unpack(data, odd)?, flag >> 4 & 2 != 0))
}

/// An RLP item: is a list, payload, with its head.
pub(super) type Item<'a> = (bool, &'a [u8], &'a [u8]);

/// Decodes a node that lies in `owner`, which its values then share.
pub(super) fn decode(data: &[u8], owner: &Bytes, links: &mut &[u8]) -> Result<Node> {
    let (is_list, body, rest) = item(data)?;
    if !is_list || !rest.is_empty() {
        return Err(TrieError::Corrupt);
    }
    let mut items: [Item<'_>; 17] = [(false, &[], &[]); 17];
    let (mut rest, mut count) = (body, 0);
    while !rest.is_empty() {
        let start = rest;
        let (list, payload, tail) = item(rest)?;
        *items.get_mut(count).ok_or(TrieError::Corrupt)? = (list, payload, &start[..start.len() - tail.len()]);
        rest = tail;
        count += 1;
    }
    let mut child = |&(list, payload, whole): &Item<'_>| match (list, payload.len()) {
        (true, _) if whole.len() < 32 => decode(whole, owner, &mut &[][..]),
        (false, 0) => Ok(Node::Empty),
        (false, 32) => Ok(Node::Hash(Ref { hash: B256::from_slice(payload), link: next_link(links) })),
        _ => Err(TrieError::Corrupt),
    };
    match &items[..count] {
        [path, value] if !path.0 => {
            let (path, leaf) = expand(path.1)?;
            if leaf && !value.0 {
                return Ok(Node::leaf(path, Value { rlp: owner.slice_ref(value.1), link: next_link(links) }));
            }
            // Extensions without a path would nest without end.
            match child(value)? {
                child @ (Node::Hash(_) | Node::Branch(_)) if !leaf && !path.is_empty() => Ok(Node::ext(path, child)),
                _ => Err(TrieError::Corrupt),
            }
        }
        items if items.len() == 17 => {
            let mut branch = Box::<Branch>::default();
            for (slot, item) in branch.children.iter_mut().zip(items) {
                *slot = child(item)?;
            }
            if items[16].2 == [0x80] { Ok(Node::Branch(branch)) } else { Err(TrieError::Corrupt) }
        }
        _ => Err(TrieError::Corrupt),
    }
}

/// The children of a node that are named by hash, in the order of its links, and a leaf's value.
pub fn children(node: &Loaded) -> Result<(Vec<Ref>, Option<Value>)> {
    match decode(&node.rlp, &node.rlp, &mut &node.links[..])? {
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

/// Splits one RLP item off: (is a list, payload, rest). Only the shortest form of a length.
#[inline]
pub(super) fn item(data: &[u8]) -> Result<(bool, &[u8], &[u8])> {
    let first = *data.first().ok_or(TrieError::Corrupt)?;
    // What a branch is made of: hashes, and nothing.
    if first == 0xa0 {
        let (hash, rest) = data[1..].split_at_checked(32).ok_or(TrieError::Corrupt)?;
        return Ok((false, hash, rest));
    }
    if first == 0x80 {
        return Ok((false, &[], &data[1..]));
    }
    any_item(first, data)
}

fn any_item(first: u8, data: &[u8]) -> Result<(bool, &[u8], &[u8])> {
    let long = |k: usize| -> Result<usize> {
        let bytes = data.get(1..1 + k).filter(|bytes| k <= 4 && bytes[0] != 0).ok_or(TrieError::Corrupt)?;
        let length = bytes.iter().fold(0, |n, byte| n << 8 | *byte as usize);
        if length < 56 { Err(TrieError::Corrupt) } else { Ok(length) }
    };
    let (list, head, len) = match first {
        0..=0x7f => (false, 0, 1),
        0x80..=0xb7 => (false, 1, first as usize - 0x80),
        0xb8..=0xbf => (false, 1 + first as usize - 0xb7, long(first as usize - 0xb7)?),
        0xc0..=0xf7 => (true, 1, first as usize - 0xc0),
        _ => (true, 1 + first as usize - 0xf7, long(first as usize - 0xf7)?),
    };
    let payload = data.get(head..head + len).ok_or(TrieError::Corrupt)?;
    if first == 0x81 && payload[0] < 0x80 {
        return Err(TrieError::Corrupt);
    }
    Ok((list, payload, &data[head + len..]))
}
