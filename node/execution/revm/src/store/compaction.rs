//! Compaction: what the roots reach is copied into a new file, the old files go.
//!
//! Blocks go on meanwhile, in the new file; they are held up for the turn to it and for the last step.

use super::{
    Inner, Reader, Result, Tail,
    index::Roots,
    segment::{FILE_HEAD, Kind, Segment, Segments},
    unreadable,
};
use crate::{
    mpt::{LOCAL, Link, Loaded, NewNode, Ref},
    state::below,
};
use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// Bytes of nodes that are gathered before they are written.
const CHUNK: usize = 1 << 20;

impl Inner {
    pub(super) fn compact(self: &Arc<Self>) -> Result<u64> {
        self.flush()?;
        let old = self.segments.read().unwrap().clone();
        let before: u64 = old.iter().map(|segment| segment.size()).sum();
        let new = self.turn()?;
        let copied = self.copy_all(&old, &new);
        if copied.is_err() {
            self.tail.lock().unwrap().since = None; // both files stay; all that was there still is
        }
        copied?;
        self.flush()?;
        for segment in old.iter() {
            std::fs::remove_file(&segment.path)?;
        }
        let after = new.size();
        self.compacted.store(after, SeqCst);
        Ok(before.saturating_sub(after))
    }

    /// Turns to a new file. Its name must be in the index before any block is in it.
    fn turn(&self) -> Result<Arc<Segment>> {
        let mut tail = self.tail.lock().unwrap();
        let first = tail.end;
        let new = Arc::new(Segment::create(&self.dir, first)?);
        self.index.add_file(first)?;
        let old = self.segments.read().unwrap().clone();
        old.last().expect("never empty").end.store(first, SeqCst);
        tail.end = first + FILE_HEAD;
        tail.since = Some(Vec::new());
        *self.segments.write().unwrap() = Arc::new(old.iter().cloned().chain([new.clone()]).collect());
        Ok(new)
    }

    /// Copies what all roots reach, then what came meanwhile.
    fn copy_all(self: &Arc<Self>, old: &Segments, new: &Arc<Segment>) -> Result<()> {
        let reader = Reader { inner: self.clone(), segments: old.clone(), generation: 0 };
        let mut copy = Copy::new(self, reader);
        // Read after the turn: what is not in here is in `since`.
        let mut work: Vec<_> = self.roots()?.into_iter().map(|(root, (place, number))| (root, place, number)).collect();
        let mut kept = Roots::new();
        let mut most = usize::MAX;
        loop {
            work.sort_by_key(|(_, place, _)| *place);
            copy.trees(&mut work, &mut kept, None)?;
            copy.write(None, &mut [])?;
            let mut tail = self.tail.lock().unwrap();
            work = std::mem::take(tail.since.as_mut().expect("set by the turn"));
            // Catch up without holding blocks up, as long as they come at less than half the rate they are copied at:
            // else each round would be longer than the one before.
            if (3..=most).contains(&work.len()) {
                most = work.len() / 2;
                continue;
            }
            copy.trees(&mut work, &mut kept, Some(&mut tail))?;
            copy.write(Some(&mut tail), &mut [])?;
            // Roots made while nodes were still local.
            for (place, _) in kept.values_mut() {
                *place = copy.moved.get(place).copied().unwrap_or(*place);
            }
            tail.since = None;
            let mut recent = self.recent.write().unwrap();
            *self.segments.write().unwrap() = Arc::new(vec![new.clone()]);
            self.generation.fetch_add(1, SeqCst);
            recent.roots = std::mem::take(&mut kept);
            recent.replace = Some(tail.end);
            return Ok(());
        }
    }
}

/// Copies states into the file that is written to.
struct Copy<'a> {
    inner: &'a Inner,
    reader: Reader,
    /// Old place → new one.
    moved: HashMap<u64, Link>,
    /// Where copies lie: first, end. In order.
    clean: Vec<(u64, u64)>,
    nodes: Vec<NewNode>,
    from: Vec<u64>,
    bytes: usize,
}

/// A node being copied: name, itself, what it names, the new links of those that are done.
type Frame = (Ref, Loaded, Vec<Ref>, Vec<Link>);

impl<'a> Copy<'a> {
    fn new(inner: &'a Inner, reader: Reader) -> Self {
        Self { inner, reader, moved: HashMap::new(), clean: Vec::new(), nodes: Vec::new(), from: Vec::new(), bytes: 0 }
    }

    /// Copies the states of some roots.
    fn trees(&mut self, work: &mut Vec<(B256, u64, u64)>, kept: &mut Roots, mut tail: Option<&mut Tail>) -> Result<()> {
        for (root, place, number) in work.drain(..) {
            let place = self.tree(Ref { hash: root, link: place }, tail.as_deref_mut())?;
            let known = kept.get(&root).map_or(0, |(_, number)| *number);
            kept.insert(root, (place, number.max(known)));
        }
        Ok(())
    }

    /// Copies what is not yet copied below a root; gives its old place, which [`Self::moved`] turns into the new one.
    fn tree(&mut self, root: Ref, mut tail: Option<&mut Tail>) -> Result<u64> {
        if root.hash == EMPTY_ROOT_HASH {
            return Ok(0);
        }
        let mut stack: Vec<Frame> = Vec::new();
        if self.known(&root).is_none() {
            stack.push(self.frame(root)?);
        }
        while let Some(top) = stack.last_mut() {
            if let Some(child) = top.2.get(top.3.len()).copied() {
                match self.known(&child) {
                    Some(link) => top.3.push(link),
                    None => stack.push(self.frame(child)?),
                }
                continue;
            }
            let (at, node, _, links) = stack.pop().expect("just seen");
            self.moved.insert(at.link, LOCAL | self.nodes.len() as u64);
            self.bytes += node.rlp.len();
            self.nodes.push(NewNode { hash: at.hash, rlp: node.rlp, links });
            self.from.push(at.link);
            if self.bytes > CHUNK {
                self.write(tail.as_deref_mut(), &mut stack)?;
            }
        }
        Ok(root.link)
    }

    fn frame(&self, at: Ref) -> Result<Frame> {
        let node = self.reader.fetch(&at).map_err(unreadable)?;
        let (named, _) = below(&node).map_err(unreadable)?;
        Ok((at, node, named, Vec::new()))
    }

    fn known(&self, at: &Ref) -> Option<Link> {
        let next = self.clean.partition_point(|(first, _)| *first <= at.link);
        let clean = next > 0 && at.link < self.clean[next - 1].1;
        if clean { Some(at.link) } else { self.moved.get(&at.link).copied() }
    }

    /// Appends what has been gathered.
    fn write(&mut self, tail: Option<&mut Tail>, stack: &mut [Frame]) -> Result<()> {
        if self.nodes.is_empty() {
            return Ok(());
        }
        let none = Ref { hash: EMPTY_ROOT_HASH, link: 0 };
        let mut guard = None;
        let tail = match tail {
            Some(tail) => tail,
            None => &mut **guard.insert(self.inner.tail.lock().unwrap()),
        };
        let first = tail.end;
        let (places, _) = self.inner.push(tail, Kind::Copy, 0, none, &self.nodes, &[])?;
        self.clean.push((first, tail.end));
        drop(guard);
        for (from, place) in self.from.drain(..).zip(&places) {
            self.moved.insert(from, *place);
        }
        for link in stack.iter_mut().flat_map(|frame| &mut frame.3).filter(|link| **link & LOCAL != 0) {
            *link = places[(*link ^ LOCAL) as usize];
        }
        self.nodes.clear();
        self.bytes = 0;
        Ok(())
    }
}
