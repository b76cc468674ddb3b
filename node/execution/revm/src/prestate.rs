//! geth's prestateTracer: the accounts that a transaction has read, before it, or what it has changed in them.

use crate::watch::{ReadError, Watched};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    state::{Account, AccountInfo, EvmState},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// prestateTracer's options.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    diff_mode: bool,
    disable_code: bool,
    disable_storage: bool,
    include_empty: bool,
}

impl Options {
    /// What geth refuses.
    pub fn check(self) -> Result<Self, &'static str> {
        if self.diff_mode && self.include_empty { Err("cannot use diffMode with includeEmpty") } else { Ok(self) }
    }
}

/// An account, or what has changed of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_hash: Option<B256>,
    #[serde(skip_serializing_if = "is_zero")]
    nonce: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, B256>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

type Accounts = BTreeMap<Address, AccountJson>;

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Prestate {
    Before(Accounts),
    Diff { post: Accounts, pre: Accounts },
}

impl Prestate {
    /// From what a transaction has touched; `db` is the state before it.
    pub fn new(state: &EvmState, options: Options, db: &Watched) -> Result<Self, ReadError> {
        let (mut pre, mut post) = (Accounts::new(), Accounts::new());
        for (address, account) in state {
            let info = db.basic_ref(*address)?.unwrap_or_default();
            let code = code(&info, db)?;
            let before = before(&info, &code, account, options);
            if !options.diff_mode {
                if options.include_empty || !info.is_empty() {
                    pre.insert(*address, before);
                }
                continue;
            }
            let Some((before, after)) = changed(before, &info, &code, account, options) else { continue };
            if !info.is_empty() {
                pre.insert(*address, before);
            }
            post.extend(after.map(|after| (*address, after)));
        }
        Ok(if options.diff_mode { Self::Diff { post, pre } } else { Self::Before(pre) })
    }
}

fn code(info: &AccountInfo, db: &Watched) -> Result<Bytes, ReadError> {
    if info.code_hash == KECCAK256_EMPTY || info.code_hash.is_zero() {
        return Ok(Bytes::new());
    }
    db.code_by_hash_ref(info.code_hash).map(|code| code.original_bytes())
}

fn code_hash(info: &AccountInfo) -> Option<B256> {
    Some(info.code_hash).filter(|hash| *hash != KECCAK256_EMPTY && !hash.is_zero())
}

fn before(info: &AccountInfo, code: &Bytes, account: &Account, options: Options) -> AccountJson {
    let slots = account.storage.iter().filter(|_| !options.disable_storage);
    AccountJson {
        balance: Some(info.balance),
        code: Some(code.clone()).filter(|code| !code.is_empty() && !options.disable_code),
        code_hash: code_hash(info),
        nonce: info.nonce,
        storage: slots.map(|(slot, value)| ((*slot).into(), value.original_value.into())).collect(),
    }
}

/// What has changed of an account, before and after; of one that was destroyed all is before and nothing after.
fn changed(
    mut before: AccountJson,
    info: &AccountInfo,
    code: &Bytes,
    account: &Account,
    options: Options,
) -> Option<(AccountJson, Option<AccountJson>)> {
    if account.is_selfdestructed() {
        return Some((before, None));
    }
    before.storage.clear();
    let (mut after, mut modified) = (AccountJson::default(), false);
    let now = &account.info;
    if now.balance != info.balance {
        (modified, after.balance) = (true, Some(now.balance));
    }
    if now.nonce != info.nonce {
        (modified, after.nonce) = (true, now.nonce);
    }
    if code_hash(now) != code_hash(info) {
        (modified, after.code_hash) = (true, Some(code_hash(now).unwrap_or(KECCAK256_EMPTY)));
        if !options.disable_code {
            let new = now.code.as_ref().map(Bytecode::original_bytes).unwrap_or_default();
            after.code = Some(new).filter(|new| new != code);
        }
    }
    let slots = account.storage.iter().filter(|(_, value)| value.is_changed() && !options.disable_storage);
    for (slot, value) in slots {
        modified = true;
        let (old, new) = (value.original_value, value.present_value);
        if !old.is_zero() {
            before.storage.insert((*slot).into(), old.into());
        }
        if !new.is_zero() {
            after.storage.insert((*slot).into(), new.into());
        }
    }
    modified.then_some((before, Some(after)))
}
