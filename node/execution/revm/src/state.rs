//! The state as revm sees it: a [`Source`] of nodes and codes, [`StateDb`] over it, and the way back
//! (`BundleState` → tries → root).

use crate::{
    codes::analysed,
    edge::Ancestors,
    keys,
    mpt::{Link, Loaded, NewNode, NodeSource, Ref, Trie, TrieError, Value, children},
    rollup::{HISTORY, HISTORY_WINDOW},
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256,
    map::{AddressMap, B256Map, B256Set},
};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::EMPTY_ROOT_HASH;
use revm::{
    Database, DatabaseRef,
    bytecode::Bytecode,
    database::{BundleAccount, BundleState, DBErrorMarker},
    state::AccountInfo,
};
use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    sync::{Arc, OnceLock},
};

/// Everything that execution may read besides its ancestors' hashes: this trait is the complete list.
pub trait Source: NodeSource + Debug {
    /// The code with this hash, or [`StateError::MissingCode`].
    fn code(&self, hash: &B256) -> Result<Bytes, StateError>;
    /// The place of a state root, if this source has places.
    fn root(&self, hash: B256) -> Ref {
        hash.into()
    }
    /// Which places these are: a store that has been compacted refuses updates with links to the old ones.
    fn generation(&self) -> u64 {
        0
    }
}

/// A state read that cannot be answered. Fatal: it never becomes a result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// See [`TrieError`].
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The source lacks this code.
    #[error("missing code {0}")]
    MissingCode(B256),
    /// The store cannot give the code: it is damaged, or the disk fails.
    #[error("code {0} cannot be read: {1}")]
    UnreadableCode(B256, String),
    /// A witness does not hold what is needed.
    #[error("the witness is not sufficient: {0}")]
    Insufficient(String),
    /// The source lacks this ancestor.
    #[error("missing block hash {0}")]
    MissingBlockHash(u64),
    /// The next read could make a block's witness too large: no fault of the source.
    #[error("the block's witness would be too large")]
    WitnessLimit,
}

impl DBErrorMarker for StateError {}

/// An account as stored in the trie. Our own type: alloy-trie's has an optional fifth field.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct StoredAccount {
    pub nonce: u64,
    pub balance: U256,
    pub storage_root: B256,
    pub code_hash: B256,
}

impl Default for StoredAccount {
    /// An account that is not there.
    fn default() -> Self {
        let (storage_root, code_hash) = (EMPTY_ROOT_HASH, KECCAK256_EMPTY);
        Self { nonce: 0, balance: U256::ZERO, storage_root, code_hash }
    }
}

impl StoredAccount {
    /// The value of its leaf.
    pub fn value(&self, storage: Ref) -> Value {
        let mut rlp = Vec::with_capacity(self.length());
        self.encode(&mut rlp);
        Value { rlp: rlp.into(), link: storage.link }
    }

    /// Decodes a leaf's value.
    pub fn exact(mut raw: &[u8]) -> Result<Self, TrieError> {
        let account = Self::decode(&mut raw).map_err(|_| TrieError::Corrupt)?;
        if raw.is_empty() { Ok(account) } else { Err(TrieError::Corrupt) }
    }
}

impl<S: Source + ?Sized> NodeSource for Arc<S> {
    fn node(&self, at: &Ref) -> Result<Loaded, TrieError> {
        (**self).node(at)
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        (**self).code(hash)
    }
    fn root(&self, hash: B256) -> Ref {
        (**self).root(hash)
    }
    fn generation(&self) -> u64 {
        (**self).generation()
    }
}

/// What a block writes: immutable nodes and codes under a new root.
#[derive(Debug, Default, Clone)]
pub struct Update {
    pub root: B256,
    /// The root's place: in `nodes`, or an old one if nothing has changed.
    pub link: Link,
    /// Children before parents.
    pub nodes: Vec<NewNode>,
    pub codes: B256Map<Bytes>,
    /// [`Source::generation`] of what it was made on; `None` if it stands alone, as a genesis does.
    pub built_on: Option<u64>,
}

#[derive(Debug, Default)]
struct Tries {
    accounts: Trie,
    storages: AddressMap<Trie>,
}

/// A state root, readable by revm. Interior mutability because tracers want [`DatabaseRef`].
#[derive(Debug)]
pub struct StateDb<S> {
    source: S,
    ancestors: Ancestors,
    tries: RefCell<Tries>,
    failure: Failure,
    /// The lowest number whose hash was asked for.
    oldest: Cell<u64>,
    /// Whether hashes below the known ancestors' are read from the EIP-2935 contract.
    history: bool,
    /// Whether a code may be a delegation (EIP-7702).
    delegations: bool,
}

/// The first read that failed. alloy-evm turns some database errors (system calls, withdrawals) into
/// `BlockValidationError`s: without this a missing node could pass for an invalid block.
pub type Failure = Arc<OnceLock<StateError>>;

impl<S: Source> StateDb<S> {
    /// The state with this root. `ancestors` answer `BLOCKHASH`.
    pub fn at(root: B256, source: S, ancestors: Ancestors) -> Self {
        let tries = Tries { accounts: Trie::at(source.root(root)), storages: AddressMap::default() };
        let (tries, oldest) = (RefCell::new(tries), Cell::new(u64::MAX));
        Self { source, ancestors, tries, failure: Failure::default(), oldest, history: false, delegations: true }
    }

    /// The state of a rollup's block with this root and number: of the ancestors' hashes its parent's is given, and
    /// the rest are read from the state, so that the state alone proves them.
    pub fn of_rollup(root: B256, source: S, parent: u64, parent_hash: B256) -> Self {
        Self { history: true, ..Self::at(root, source, Ancestors::parent(parent, parent_hash)) }
    }

    /// Whether delegations are in force (EIP-7702); they are unless it is said here.
    pub fn set_delegations(&mut self, delegations: bool) {
        self.delegations = delegations;
    }

    /// A code as it runs on this state.
    pub fn analysed(&self, code: Bytes) -> Bytecode {
        analysed(code, self.delegations)
    }

    /// Where nodes and codes come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The hashes of the ancestors from the parent down to the oldest that was asked for.
    pub fn hashes_read(&self) -> Vec<B256> {
        self.ancestors.down_to(self.oldest.get())
    }

    /// To be looked at after any error.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    fn note<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        result.inspect_err(|error| {
            let _ = self.failure.set(error.clone()); // the first one counts
        })
    }

    /// The stored form of an account.
    pub fn account(&self, address: &Address) -> Result<Option<StoredAccount>, StateError> {
        Ok(self.stored(address)?.map(|(account, _)| account))
    }

    /// The code with this hash; the empty one is known.
    pub fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        if *hash == KECCAK256_EMPTY { Ok(Bytes::new()) } else { self.source.code(hash) }
    }

    /// An account and the place of its storage.
    fn stored(&self, address: &Address) -> Result<Option<(StoredAccount, Ref)>, StateError> {
        self.stored_at(&keys::of_account(address))
    }

    /// As [`Self::stored`], by the hash of the address.
    fn stored_at(&self, key: &B256) -> Result<Option<(StoredAccount, Ref)>, StateError> {
        let mut tries = self.tries.borrow_mut();
        let Some(value) = tries.accounts.get(key, &self.source)? else { return Ok(None) };
        let account = StoredAccount::exact(&value.rlp)?;
        let storage = Ref { hash: account.storage_root, link: value.link };
        Ok(Some((account, storage)))
    }

    /// Runs `f` on an account's storage trie.
    fn with_storage<T>(
        &self,
        address: &Address,
        f: impl FnOnce(&mut Trie, &S) -> Result<T, TrieError>,
    ) -> Result<T, StateError> {
        if !self.tries.borrow().storages.contains_key(address) {
            let root = self.stored(address)?.map_or(EMPTY_ROOT_HASH.into(), |(_, root)| root);
            self.tries.borrow_mut().storages.insert(*address, Trie::at(root));
        }
        let tries = &mut *self.tries.borrow_mut();
        Ok(f(tries.storages.get_mut(address).expect("inserted above"), &self.source)?)
    }

    /// `eth_getProof`: the account's nodes, and those of each slot.
    pub fn proof(&self, address: &Address, slots: &[U256]) -> Result<(Vec<Bytes>, Vec<Vec<Bytes>>), StateError> {
        let account = self.tries.borrow_mut().accounts.proof(&keys::of_account(address), &self.source)?;
        let slots = slots
            .iter()
            .map(|slot| self.with_storage(address, |trie, source| trie.proof(&keys::of_slot(slot), source)));
        Ok((account, slots.collect::<Result<_, _>>()?))
    }

    /// Writes a bundle into the tries and hashes them.
    ///
    /// The order is fixed (a bundle is a hash map with a random seed): within every trie first the sets, then the
    /// removals, each by hashed key. Otherwise the siblings read by collapses, hence the witness, would vary.
    /// An account that a block leaves empty is removed if `clear_empty` (EIP-161). What is new is added to `update`,
    /// which a second call, on a bundle of what has changed since, may go on with.
    pub fn apply(&mut self, bundle: &BundleState, clear_empty: bool, update: &mut Update) -> Result<(), StateError> {
        let mut removed = Vec::new();
        let mut sorted: Vec<_> = bundle.state.iter().map(|(a, account)| (keys::of_account(a), a, account)).collect();
        sorted.sort_unstable_by_key(|(key, ..)| *key);
        for (key, address, account) in sorted {
            let Some(info) = account.info.as_ref().filter(|info| !clear_empty || !info.is_empty()) else {
                removed.push((key, address));
                continue;
            };
            let storage = self.apply_storage(&key, address, account, &mut update.nodes)?;
            let (nonce, balance, code_hash) = (info.nonce, info.balance, info.code_hash);
            let value = StoredAccount { nonce, balance, storage_root: storage.hash, code_hash }.value(storage);
            self.tries.get_mut().accounts.insert(&key, value, &self.source)?;
        }
        for (key, address) in &removed {
            let tries = self.tries.get_mut();
            tries.accounts.remove(key, &self.source)?;
            tries.storages.remove(*address); // one that comes back begins without
        }
        Ref { hash: update.root, link: update.link } = self.tries.get_mut().accounts.commit(&mut update.nodes);
        update.built_on = Some(self.source.generation());
        update.codes.extend(bundle.contracts.iter().map(|(hash, code)| (*hash, code.original_bytes())));
        Ok(())
    }

    /// Writes what has changed in an account's storage; gives its root.
    fn apply_storage(
        &mut self,
        key: &B256,
        address: &Address,
        account: &BundleAccount,
        new: &mut Vec<NewNode>,
    ) -> Result<Ref, StateError> {
        let destroyed = account.was_destroyed();
        let mut slots: Vec<_> = account
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed() || destroyed)
            .map(|(slot, value)| (keys::of_slot(slot), value.present_value))
            .collect();
        if destroyed {
            // Destroyed (and created again): nothing of the old storage is left.
            self.tries.borrow_mut().storages.insert(*address, Trie::default());
        } else if slots.is_empty() && !self.tries.get_mut().storages.contains_key(address) {
            return Ok(self.stored_at(key)?.map_or(EMPTY_ROOT_HASH.into(), |(_, root)| root));
        }
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        self.with_storage(address, |trie, source| {
            for (slot, value) in slots.iter().filter(|(_, value)| !value.is_zero()) {
                trie.insert(slot, alloy_rlp::encode(value), source)?;
            }
            for slot in slots.iter().filter(|(_, value)| value.is_zero()).map(|(slot, _)| slot) {
                trie.remove(slot, source)?;
            }
            Ok(trie.commit(new))
        })
    }
}

impl<S: Source> DatabaseRef for StateDb<S> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.account(&address)?.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None, // asked for by hash, only when it is run or read
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        Ok(self.analysed(self.source.code(&hash)?))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        let key = keys::of_slot(&slot);
        let raw =
            self.with_storage(&address, |trie, source| Ok(trie.get(&key, source)?.map(|value| value.rlp.clone())))?;
        raw.map_or(Ok(U256::ZERO), |raw| U256::decode(&mut &raw[..]).map_err(|_| StateError::Trie(TrieError::Corrupt)))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        if self.history {
            return match self.ancestors.hash(number) {
                Ok(hash) => Ok(hash),
                Err(_) => Ok(self.storage_ref(HISTORY, U256::from(number % HISTORY_WINDOW))?.into()),
            };
        }
        self.oldest.set(self.oldest.get().min(number));
        self.ancestors.hash(number)
    }
}

impl<S: Source> Database for StateDb<S> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.note(self.basic_ref(address))
    }
    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        self.note(self.code_by_hash_ref(hash))
    }
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.note(self.storage_ref(address, slot))
    }
    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.note(self.block_hash_ref(number))
    }
}

/// What a node names: its children, and an account's storage; and the account, if it is one's leaf.
pub fn below(node: &Loaded) -> Result<(Vec<Ref>, Option<StoredAccount>), TrieError> {
    let (mut named, value) = children(node)?;
    // A slot's value is at most 33 bytes, an account at least 70.
    let Some(value) = value.filter(|value| value.rlp.len() > 33) else { return Ok((named, None)) };
    let account = StoredAccount::exact(&value.rlp)?;
    if account.storage_root != EMPTY_ROOT_HASH {
        named.push(Ref { hash: account.storage_root, link: value.link });
    }
    Ok((named, Some(account)))
}

/// Reads every node of a state, storages and codes included; gives their number.
pub fn walk(source: &impl Source, root: B256) -> Result<usize, StateError> {
    let mut seen = B256Set::default();
    let mut stack = vec![source.root(root)];
    while let Some(at) = stack.pop() {
        if at.hash == EMPTY_ROOT_HASH || !seen.insert(at.hash) {
            continue;
        }
        let (named, account) = below(&source.node(&at)?)?;
        stack.extend(named);
        if let Some(hash) = account.map(|account| account.code_hash).filter(|hash| *hash != KECCAK256_EMPTY) {
            source.code(&hash)?;
        }
    }
    Ok(seen.len())
}
