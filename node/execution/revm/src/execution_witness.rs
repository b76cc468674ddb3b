//! `debug_executionWitness`: all that executing a block reads, as JSON.

use crate::{
    block::Block,
    edge::{self, Ancestors, detached},
    engine::{Engine, NativeEngine},
    errors::Result,
    json,
};
use alloy_primitives::{B256, Bytes};
use pyo3::{prelude::*, types::PyBytes};
use serde::Serialize;
use std::collections::BTreeMap;

/// geth's `ExtWitness`, with the hashes of its headers: those of the ancestors down to the oldest that was asked for.
#[derive(Serialize)]
struct WitnessJson {
    headers: Vec<B256>,
    codes: Vec<Bytes>,
    state: Vec<Bytes>,
    keys: Vec<Bytes>,
}

fn execution_witness(engine: &Engine, parent: &[u8], block: &[u8], ancestors: &[u8]) -> Result<Vec<u8>> {
    let parent = edge::header(parent)?;
    let ancestors = Ancestors::new(parent.number, ancestors)?;
    let result = engine.judge(&parent, &Block::decode(Bytes::copy_from_slice(block))?, ancestors, true)?;
    let witness = result.witness.unwrap_or_default();
    let values = |items: BTreeMap<B256, Bytes>| items.into_values().collect();
    let answer = WitnessJson {
        headers: result.contents.ancestors,
        codes: values(witness.codes),
        state: values(witness.nodes),
        keys: Vec::new(),
    };
    json::bytes_within(&answer, json::SIZE_MAX)
}

#[pymethods]
impl NativeEngine {
    /// `debug_executionWitness`: the answer's JSON with hashes in place of headers.
    fn execution_witness<'py>(
        &self,
        py: Python<'py>,
        parent_header: &[u8],
        block: &[u8],
        ancestors: &[u8],
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || self::execution_witness(&self.engine, parent_header, block, ancestors))?;
        Ok(PyBytes::new(py, &json))
    }
}
