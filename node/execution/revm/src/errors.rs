//! Errors of the engine, and the Python exceptions they become (`node.errors`).
//!
//! Graded by what the one who catches it may do: a bad block is its maker's fault, a state that is not kept can be
//! asked for elsewhere, a damaged store stops the process, anything else is a bug.

use crate::{mpt::TrieError, state::StateError, store::StoreError};
use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use pyo3::{
    PyErr,
    exceptions::{PyRuntimeError, PyValueError},
    import_exception,
};
use std::fmt::Display;

import_exception!(node.errors, InvalidBlock);
import_exception!(node.errors, InvalidCall);
import_exception!(node.errors, MissingState);
import_exception!(node.errors, StorageError);
import_exception!(node.errors, Rejected);

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A block breaks a rule of the execution layer.
    #[error("{field}: want {want}, got {got}")]
    Invalid {
        /// The header field or rule.
        field: &'static str,
        want: String,
        got: String,
    },
    /// A call or transaction object that is refused before it runs; the code is JSON-RPC's.
    #[error("{message}")]
    Call { message: String, code: i64 },
    /// An argument of the caller's that has the wrong shape.
    #[error("{0}")]
    Argument(String),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Execution stopped for a reason that is no result of consensus: a bug.
    #[error("{0}")]
    Fatal(String),
    /// A Python exception that crossed the EVM.
    #[error("{0}")]
    Python(PyErr),
}

impl Error {
    /// A broken rule, with what was wanted and what is there.
    pub fn invalid(field: &'static str, want: impl Display, got: impl Display) -> Self {
        Self::Invalid { field, want: want.to_string(), got: got.to_string() }
    }

    /// A refused call with geth's default code.
    pub fn call(message: impl Display) -> Self {
        Self::Call { message: message.to_string(), code: -32000 }
    }
}

impl From<BlockExecutionError> for Error {
    fn from(error: BlockExecutionError) -> Self {
        match error {
            BlockExecutionError::Validation(BlockValidationError::InvalidTx { hash, error }) => {
                Self::invalid("transaction", "an executable transaction", format!("{hash}: {error}"))
            }
            BlockExecutionError::Validation(error) => Self::invalid("execution", "a valid block", error),
            BlockExecutionError::Internal(error) => Self::Fatal(error.to_string()),
        }
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, want, got } => InvalidBlock::new_err((field, want, got)),
            Error::Call { message, code } => InvalidCall::new_err((message, code)),
            Error::Argument(message) => PyValueError::new_err(message),
            Error::Store(error) => StorageError::new_err(error.to_string()),
            Error::State(
                error @ (StateError::Trie(TrieError::Missing(_))
                | StateError::MissingBlockHash(_)
                | StateError::Insufficient(_)),
            ) => MissingState::new_err(error.to_string()),
            // A node that is there and wrong is damage.
            Error::State(error) => StorageError::new_err(error.to_string()),
            Error::Fatal(message) => PyRuntimeError::new_err(message),
            Error::Python(error) => error,
        }
    }
}
