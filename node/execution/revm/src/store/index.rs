//! The small redb file beside the log: places of the roots, codes, and up to where the log has been indexed.

use super::{
    Result, StoreError,
    segment::{FILE_HEAD, Segment, Segments, VERSION},
};
use crate::database::File;
use alloy_primitives::{B256, Bytes, keccak256};
use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::atomic::Ordering::SeqCst,
};

/// State root → place, number of the last block that had it.
const ROOTS: TableDefinition<&[u8; 32], (u64, u64)> = TableDefinition::new("roots");
const CODES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("codes");
/// First place → end, or 0 for the file that is written to.
const FILES: TableDefinition<u64, u64> = TableDefinition::new("files");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// Bytes of pages that redb keeps in memory.
const CACHE_BYTES: usize = 4 << 20;

/// Place and block number of a root.
pub type Roots = HashMap<B256, (u64, u64)>;

/// What the index says when it is opened.
#[derive(Debug)]
pub struct Opened {
    /// First place → end, 0 for open.
    pub files: BTreeMap<u64, u64>,
    /// Up to where the log has been indexed.
    pub end: u64,
    /// See [`crate::state::Source::generation`].
    pub generation: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Index {
    file: File,
}

impl Index {
    /// Opens or creates it; a new one comes with the first file of the log.
    pub fn open(dir: &Path) -> Result<(Self, Opened)> {
        let path = dir.join("index.redb");
        let logs = std::fs::read_dir(dir)?.flatten().any(|entry| entry.path().extension() == Some("log".as_ref()));
        if logs && !path.exists() {
            return Err(StoreError::Damaged(format!("{}: there are nodes but no index", path.display())));
        }
        let index = Self { file: File::open(&path, CACHE_BYTES)? };
        let opened = match index.load()? {
            Some(opened) => opened,
            // Created, but killed before its first commit. There can be no block then.
            None => {
                Segment::create(dir, FILE_HEAD)?;
                index.create()?
            }
        };
        Ok((index, opened))
    }

    fn load(&self) -> Result<Option<Opened>> {
        let read = self.file.run(|database| {
            let read = database.begin_read()?;
            let files = match read.open_table(FILES) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let pair = |entry: std::result::Result<(redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, u64>), _>| {
                entry.map(|(first, end)| (first.value(), end.value()))
            };
            let files = files.iter()?.map(pair).collect::<std::result::Result<BTreeMap<_, _>, redb::StorageError>>()?;
            let mut meta = HashMap::new();
            for entry in read.open_table(META)?.iter()? {
                let (key, value) = entry?;
                meta.insert(key.value().to_owned(), value.value());
            }
            Ok(Some((files, meta)))
        })?;
        let Some((files, meta)) = read else { return Ok(None) };
        let get = |key: &str| meta.get(key).copied().ok_or_else(|| self.file.damaged(format!("there is no {key}")));
        if get("version")? != VERSION {
            return Err(self.file.damaged(format!("layout {} is not {VERSION}", get("version")?)));
        }
        Ok(Some(Opened { files, end: get("end")?, generation: get("generation")? }))
    }

    fn create(&self) -> Result<Opened> {
        let opened = Opened { files: BTreeMap::from([(FILE_HEAD, 0)]), end: 2 * FILE_HEAD, generation: 1 };
        self.write(|transaction| {
            transaction.open_table(ROOTS)?;
            transaction.open_table(CODES)?;
            transaction.open_table(FILES)?.insert(FILE_HEAD, 0)?;
            let mut meta = transaction.open_table(META)?;
            for (key, value) in [("version", VERSION), ("end", opened.end), ("generation", opened.generation)] {
                meta.insert(key, value)?;
            }
            Ok(())
        })?;
        Ok(opened)
    }

    /// Names a file, so that blocks may be in it.
    pub fn add_file(&self, first: u64) -> Result<()> {
        self.write(|transaction| {
            transaction.open_table(FILES)?.insert(first, 0)?;
            Ok(())
        })
    }

    /// Writes down what is synced up to `end`. With `replace`, what it held of roots and files goes.
    pub fn checkpoint(
        &self,
        roots: &Roots,
        codes: &HashMap<B256, Bytes>,
        segments: &Segments,
        (end, generation): (u64, u64),
        replace: bool,
    ) -> Result<()> {
        self.write(|transaction| {
            if replace {
                transaction.delete_table(ROOTS)?;
            }
            let mut table = transaction.open_table(ROOTS)?;
            for (root, (place, number)) in roots {
                // The same state again, on a lower fork: it lives as long as the higher block's.
                let known = table.get(&root.0)?.map_or(0, |known| known.value().1);
                table.insert(&root.0, (*place, *number.max(&known)))?;
            }
            let mut table = transaction.open_table(CODES)?;
            for (hash, code) in codes {
                table.insert(&hash.0, &code[..])?;
            }
            let mut table = transaction.open_table(FILES)?;
            if replace {
                table.retain(|first, _| segments.iter().any(|segment| segment.first == first))?;
            }
            for segment in segments.iter() {
                let end = Some(segment.end.load(SeqCst)).filter(|end| *end != u64::MAX).unwrap_or(0);
                table.insert(segment.first, end)?;
            }
            let mut table = transaction.open_table(META)?;
            table.insert("end", end)?;
            table.insert("generation", generation)?;
            Ok(())
        })
    }

    /// Forgets roots.
    pub fn drop_roots(&self, keep: impl Fn(&B256, u64) -> bool) -> Result<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(ROOTS)?;
            table.retain(|root, (_, number)| keep(&B256::from(*root), number))?;
            Ok(())
        })
    }

    /// Place and number of a root.
    pub fn root(&self, root: &B256) -> Result<Option<(u64, u64)>> {
        self.file.run(|database| {
            let table = database.begin_read()?.open_table(ROOTS)?;
            Ok(table.get(&root.0)?.map(|found| found.value()))
        })
    }

    /// All roots.
    pub fn roots(&self) -> Result<Roots> {
        self.file.run(|database| {
            let table = database.begin_read()?.open_table(ROOTS)?;
            let mut roots = Roots::new();
            for entry in table.iter()? {
                let (root, found) = entry?;
                roots.insert(B256::from(root.value()), found.value());
            }
            Ok(roots)
        })
    }

    /// A code, compared with its hash. Codes are never forgotten: one that is not there is damage.
    pub fn code(&self, hash: &B256) -> Result<Bytes> {
        let code = self.file.run(|database| {
            let table = database.begin_read()?.open_table(CODES)?;
            Ok(table.get(&hash.0)?.map(|code| Bytes::copy_from_slice(code.value())))
        })?;
        match code {
            Some(code) if keccak256(&code) == *hash => Ok(code),
            Some(_) => Err(self.file.damaged(format!("another code than {hash}"))),
            None => Err(self.file.damaged(format!("there is no code {hash}"))),
        }
    }

    /// One transaction; quick repair makes opening after a crash quick.
    fn write(&self, work: impl FnOnce(&WriteTransaction) -> std::result::Result<(), redb::Error>) -> Result<()> {
        self.file.run(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            work(&transaction)?;
            Ok(transaction.commit()?)
        })
    }
}
