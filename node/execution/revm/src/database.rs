//! redb at arm's length: whatever it finds wrong, or panics on, becomes an error that names the file.
//!
//! redb asserts where it should refuse: a damaged file panics while it is opened, read, written, even while it is let go.
//! None of that may unwind into a caller, least of all into Python's deallocation.

use crate::store::StoreError;
use redb::{Database, DatabaseError};
use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

type Result<T> = std::result::Result<T, StoreError>;

/// An open file of redb's. One process may have it open.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    /// There until it is dropped.
    database: Option<Database>,
}

impl File {
    /// Opens or creates it, and looks it over: a damaged key would pass for one that is not there.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self> {
        let mut file = Self { path: path.into(), database: None };
        let open = || Database::builder().set_cache_size(cache_bytes).create(path);
        let opened = catch_unwind(AssertUnwindSafe(open)).map_err(|_| file.damaged("it cannot be opened"))?;
        // Kept outside of what may unwind: it may panic once more when it is dropped.
        let database = file.database.insert(opened.map_err(|error| refused(path, error))?);
        let whole = catch_unwind(AssertUnwindSafe(|| database.check_integrity()));
        match whole {
            Ok(Ok(true)) => Ok(file),
            Ok(Err(error)) => Err(refused(path, error)),
            Ok(Ok(false)) | Err(_) => Err(file.damaged("a page is not what it must be")),
        }
    }

    /// Runs `work` on it.
    pub fn run<T>(&self, work: impl FnOnce(&Database) -> std::result::Result<T, redb::Error>) -> Result<T> {
        let database = self.database.as_ref().expect("there until it is dropped");
        catch_unwind(AssertUnwindSafe(|| work(database)))
            .map_err(|_| self.damaged("a page is not what it must be"))?
            .map_err(|error| match error {
                redb::Error::Io(error) => failed(&self.path, error),
                error => self.damaged(error),
            })
    }

    /// What is wrong in it.
    pub fn damaged(&self, what: impl Display) -> StoreError {
        damaged(&self.path, what)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let database = self.database.take();
        // Everything that was promised is on disk already; what is wrong now will be found when it is opened again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => failed(path, "it is in use by another process"),
        error => damaged(path, error),
    }
}

fn damaged(path: &Path, what: impl Display) -> StoreError {
    StoreError::Damaged(format!("{}: {what}", path.display()))
}

fn failed(path: &Path, what: impl Display) -> StoreError {
    StoreError::Io(format!("{}: {what}", path.display()))
}
