//! Small tables of bytes with atomic batches, over redb.

use crate::{
    database::File,
    edge::detached,
    errors::{Error, Result},
    store::StoreError,
};
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use redb::{Durability, ReadableDatabase, TableDefinition, TableError};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

/// Bytes of pages that redb keeps in memory.
const CACHE_BYTES: usize = 8 << 20;

/// Most entries of one scan.
const SCAN_MAX: usize = 100_000;

/// Bytes of a value's checksum.
const SUM: usize = 8;

fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// An open file of tables.
#[derive(Debug)]
struct Tables {
    file: File,
}

impl Tables {
    fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Io(format!("{}: {error}", path.display())))?;
        }
        Ok(Self { file: File::open(path, CACHE_BYTES)? })
    }

    fn check(&self, table: &str, key: &[u8], stored: &[u8]) -> Result<Vec<u8>> {
        let sum = stored.first_chunk::<SUM>();
        let value = &stored[SUM.min(stored.len())..];
        if sum != Some(&checksum(table, key, value)) {
            let key = alloy_primitives::hex::encode(key);
            return Err(self.file.damaged(format!("table {table}, key {key}: the checksum is wrong")).into());
        }
        Ok(value.to_vec())
    }

    fn get_many(&self, table: &str, keys: &[PyBackedBytes]) -> Result<Vec<Option<Vec<u8>>>> {
        let stored = self.file.run(|database| {
            let open = match database.begin_read()?.open_table(definition(table)) {
                Ok(open) => open,
                Err(TableError::TableDoesNotExist(_)) => return Ok(vec![None; keys.len()]),
                Err(error) => return Err(error.into()),
            };
            let get = |key: &PyBackedBytes| Ok(open.get(&key[..])?.map(|value| value.value().to_vec()));
            keys.iter().map(get).collect::<std::result::Result<Vec<Option<Vec<u8>>>, redb::Error>>()
        })?;
        let checked = keys
            .iter()
            .zip(stored)
            .map(|(key, stored)| stored.map(|stored| self.check(table, key, &stored)).transpose());
        checked.collect()
    }

    fn scan(&self, table: &str, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if start >= end {
            return Ok(Vec::new());
        }
        let stored = self.file.run(|database| {
            let open = match database.begin_read()?.open_table(definition(table)) {
                Ok(open) => open,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut entries = Vec::new();
            for entry in open.range(start..end)?.take(limit.min(SCAN_MAX)) {
                let (key, value) = entry?;
                entries.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(entries)
        })?;
        stored.into_iter().map(|(key, value)| Ok((key.clone(), self.check(table, &key, &value)?))).collect()
    }

    fn write(
        &self,
        puts: &[(String, PyBackedBytes, PyBackedBytes)],
        deletes: &[(String, PyBackedBytes)],
    ) -> Result<()> {
        type Change<'a> = (&'a [u8], Option<&'a [u8]>);
        let mut changes: BTreeMap<&str, Vec<Change<'_>>> = BTreeMap::new();
        for (table, key, value) in puts {
            changes.entry(table).or_default().push((key, Some(value)));
        }
        for (table, key) in deletes {
            changes.entry(table).or_default().push((key, None));
        }
        let written = self.file.run(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_quick_repair(true);
            for (name, changes) in changes {
                let mut table = transaction.open_table(definition(name))?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(table.insert(key, &*[&checksum(name, key, value)[..], value].concat())?),
                        None => drop(table.remove(key)?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        });
        Ok(written?)
    }
}

/// Ties a value to its place: the right value under the wrong key is damage too.
fn checksum(table: &str, key: &[u8], value: &[u8]) -> [u8; SUM] {
    let mut hasher = alloy_primitives::Keccak256::new();
    for part in [table.as_bytes(), key] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(value);
    *hasher.finalize().first_chunk().expect("a hash is longer")
}

/// The tables as Python holds them.
#[pyclass(frozen)]
pub struct NativeTables {
    tables: RwLock<Option<Arc<Tables>>>,
}

impl NativeTables {
    fn open_tables(&self) -> Result<Arc<Tables>> {
        self.tables.read().unwrap().clone().ok_or_else(|| Error::Fatal("the tables are closed".into()))
    }
}

#[pymethods]
impl NativeTables {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> Result<Self> {
        let tables = detached(py, || Tables::open(&path))?;
        Ok(Self { tables: RwLock::new(Some(Arc::new(tables))) })
    }

    fn get<'py>(&self, py: Python<'py>, table: &str, key: PyBackedBytes) -> Result<Option<Bound<'py, PyBytes>>> {
        let values = detached(py, || self.open_tables()?.get_many(table, &[key]))?;
        Ok(values.into_iter().next().flatten().map(|value| PyBytes::new(py, &value)))
    }

    fn get_many<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        keys: Vec<PyBackedBytes>,
    ) -> Result<Vec<Option<Bound<'py, PyBytes>>>> {
        let values = detached(py, || self.open_tables()?.get_many(table, &keys))?;
        Ok(values.into_iter().map(|value| value.map(|value| PyBytes::new(py, &value))).collect())
    }

    #[allow(clippy::type_complexity)]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let entries = detached(py, || self.open_tables()?.scan(table, start, end, limit))?;
        Ok(entries.iter().map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))).collect())
    }

    fn write(
        &self,
        py: Python<'_>,
        puts: Vec<(String, PyBackedBytes, PyBackedBytes)>,
        deletes: Vec<(String, PyBackedBytes)>,
    ) -> Result<()> {
        detached(py, || self.open_tables()?.write(&puts, &deletes))
    }

    fn close(&self, py: Python<'_>) -> Result<()> {
        detached(py, || {
            drop(self.tables.write().unwrap().take());
            Ok(())
        })
    }
}
