//! The thread that syncs the log and brings the index up to it.

use super::{Inner, Result, StoreError, Tail, index::Roots};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

/// How often a wait looks whether the thread has died.
const LOOK: Duration = Duration::from_millis(100);

impl Inner {
    /// Runs until the store is dropped, or until something fails: then nothing that was written may be trusted.
    pub(super) fn work(&self) {
        let result = catch_unwind(AssertUnwindSafe(|| self.run()))
            .unwrap_or_else(|_| Err(StoreError::Damaged(format!("{}: the index has failed", self.dir.display()))));
        if let Err(error) = result {
            // The first failure is the one that counts.
            let _ = self.failed.set(error);
        }
        self.done.notify_all();
    }

    fn run(&self) -> Result<()> {
        let (mut synced, mut indexed) = (Instant::now(), Instant::now());
        let mut stale_index = false;
        let mut seen = 0;
        loop {
            let idle = |tail: &mut Tail| tail.count == seen && !tail.flush && !tail.stop;
            let wait = if seen > self.durable.load(SeqCst) {
                self.options.sync.saturating_sub(synced.elapsed())
            } else {
                self.options.checkpoint
            };
            let tail = self.wake.wait_timeout_while(self.tail.lock().unwrap(), wait, idle).unwrap().0;
            let (count, end, now, stop) = (tail.count, tail.end, tail.flush || tail.stop, tail.stop);
            drop(tail);
            seen = count;
            if self.durable.load(SeqCst) < count && (now || synced.elapsed() >= self.options.sync) {
                synced = Instant::now();
                self.sync(end)?;
                self.durable.store(count, SeqCst);
                stale_index = true;
            }
            if now || (stale_index && indexed.elapsed() >= self.options.checkpoint) {
                indexed = Instant::now();
                self.checkpoint()?;
                stale_index = false;
                let mut tail = self.tail.lock().unwrap();
                tail.flush &= tail.count != count;
            }
            self.done.notify_all();
            if stop {
                return Ok(());
            }
        }
    }

    fn sync(&self, end: u64) -> Result<()> {
        let from = self.synced_end.load(SeqCst);
        for segment in self.segments.read().unwrap().clone().iter() {
            if segment.end.load(SeqCst) > from {
                let synced = segment.file.sync_data();
                synced.map_err(|error| StoreError::Io(format!("{}: {error}", segment.path.display())))?;
            }
        }
        self.synced_end.store(end, SeqCst);
        Ok(())
    }

    /// Brings the index up to what is synced.
    fn checkpoint(&self) -> Result<()> {
        let _indexing = self.indexing.lock().unwrap();
        let end = self.synced_end.load(SeqCst);
        let recent = self.recent.read().unwrap();
        let segments = self.segments.read().unwrap().clone();
        let generation = self.generation.load(SeqCst);
        let (replace, codes) = (recent.replace.is_some_and(|at| at <= end), recent.codes.clone());
        let roots: Roots = recent.roots.iter().filter(|(_, (at, _))| *at < end).map(|(k, v)| (*k, *v)).collect();
        drop(recent);
        self.index.checkpoint(&roots, &codes, &segments, (end, generation), replace)?;
        let mut recent = self.recent.write().unwrap();
        recent.replace = recent.replace.filter(|_| !replace);
        for (root, value) in &roots {
            if recent.roots.get(root) == Some(value) {
                recent.roots.remove(root);
            }
        }
        codes.keys().for_each(|hash| drop(recent.codes.remove(hash)));
        Ok(())
    }

    /// Syncs, writes the index, and waits for both.
    pub(super) fn flush(&self) -> Result<()> {
        let mut tail = self.tail.lock().unwrap();
        let target = tail.count;
        tail.flush = true;
        self.wake.notify_one();
        while self.failed.get().is_none() && (tail.flush || self.durable.load(SeqCst) < target) {
            tail = self.done.wait_timeout(tail, LOOK).unwrap().0;
        }
        self.check()
    }
}
