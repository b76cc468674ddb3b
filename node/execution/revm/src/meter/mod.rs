//! The size of an L2 block's witness, as a rule of consensus: every block that passes can be proven in one L1 transaction.
//!
//!     EVM > [`Metered`] > revm's State > StateDb > source
//!              `- [`Meter`]: walks the *parent's* tries on its own > source
//!
//! W = bytes of the nodes on the paths of what is touched + bytes of the codes asked for + [`NODE_BYTES_MAX`] for
//! each slot cleared and account removed (a removal may read one sibling). The meter sits above revm's `State`, whose
//! cache keeps what a dropped transaction has read.
//!
//! **Nothing is read that might not fit**: a node only while [`NODE_BYTES_MAX`] are left, a code only while its length
//! (of a code in the genesis file) or [`CODE_BYTES_MAX`] is left. So W never passes its limit, whoever stops where, and
//! what proves that a transaction stops is within the limit as well.
//!
//! Deliberately absent: the EVM, gas, and what becomes of a transaction that is stopped (`l2`).

mod metered;
#[cfg(test)]
mod tests;

use crate::{
    keys,
    mpt::{Loaded, Ref, Value, Walk},
    rollup::{HISTORY, HISTORY_WINDOW, MESSAGE_PASSER, SEQUENCER_FEE_VAULT},
    state::{Source, StateError, StoredAccount},
};
use alloy_eips::eip4788::{BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS};
use alloy_primitives::{
    Address, B256, U256, address,
    map::{AddressMap, B256Map, HashSet},
};
use alloy_trie::EMPTY_ROOT_HASH;
pub use metered::Metered;
use revm::state::Account;
use std::sync::Arc;

/// The longest trie node: a branch with sixteen hashes.
pub const NODE_BYTES_MAX: usize = 532;
/// The longest code (EIP-170).
pub const CODE_BYTES_MAX: usize = 24_576;
/// What every user deposit may add, however little gas it has.
const DEPOSIT_BYTES: usize = 3_072;
/// What it may add besides for each 1,000 gas.
const DEPOSIT_BYTES_PER_KGAS: usize = 42;
/// EIP-4788's ring.
const BEACON_ROOTS_WINDOW: u64 = 8_191;
/// op-revm reads its fee slots; an attributes deposit writes them. The last one is 8.
const L1_BLOCK_SLOTS: u64 = 9;
const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");
/// The fee vaults, of which the first is every block's fee recipient, and the message passer, whose storage root is in
/// the header.
const PREDEPLOYS: [Address; 5] = [
    SEQUENCER_FEE_VAULT,
    MESSAGE_PASSER,
    address!("4200000000000000000000000000000000000019"),
    address!("420000000000000000000000000000000000001a"),
    address!("420000000000000000000000000000000000001b"),
];

/// Bytes by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub nodes: usize,
    pub codes: usize,
    /// Room for what removals may read.
    pub siblings: usize,
}

impl Size {
    /// W.
    pub fn total(&self) -> usize {
        self.nodes + self.codes + self.siblings
    }
}

/// What is charged before anything runs: every block may touch it, and who comes first must not matter.
#[derive(Debug, Clone)]
pub struct Base {
    pub number: u64,
    pub timestamp: u64,
    /// Who sends the block's deposits: mint and nonce, whatever happens.
    pub depositors: Vec<Address>,
}

/// Whose bytes are counted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// The base charges and system calls: without a limit, since every block has them.
    Block,
    /// The attributes deposit or a user's transaction: what the block has left.
    Common,
    /// A user's deposit: an allowance of its own, by its gas limit, which no other deposit can use up.
    Deposit(u64),
}

#[derive(Debug)]
enum Undo {
    Account(Address),
    Slot(Address, U256),
    Node(B256),
    Code(B256),
    Cleared(Address, Option<U256>),
}

/// See the module. A transaction is a call of [`Self::begin`], then touches, then [`Self::keep`] or [`Self::forget`].
#[derive(Debug)]
pub struct Meter<S> {
    source: S,
    root: Ref,
    limit: usize,
    /// Lengths that are known before the code is read: those of the genesis file.
    lengths: Arc<B256Map<usize>>,
    /// Touched accounts, with the roots of their storages.
    accounts: AddressMap<Ref>,
    slots: HashSet<(Address, U256)>,
    nodes: B256Map<Loaded>,
    codes: B256Map<usize>,
    /// Accounts and slots taken out of the state.
    cleared: HashSet<(Address, Option<U256>)>,
    size: Size,
    payer: Payer,
    /// W when the payer began.
    start: usize,
    /// W when the first one began.
    base: usize,
    /// Whether one deposit has asked for a code that was too long for its allowance: the block has room for one.
    spilled: bool,
    crossed: bool,
    undo: Vec<Undo>,
}

impl<S: Source> Meter<S> {
    /// A meter over the parent's state that has counted nothing.
    pub fn new(source: S, root: B256, limit: usize, lengths: Arc<B256Map<usize>>) -> Self {
        let root = source.root(root);
        Self {
            source,
            root,
            limit,
            lengths,
            accounts: AddressMap::default(),
            slots: HashSet::default(),
            nodes: B256Map::default(),
            codes: B256Map::default(),
            cleared: HashSet::default(),
            size: Size::default(),
            payer: Payer::Block,
            start: 0,
            base: 0,
            spilled: false,
            crossed: false,
            undo: Vec::new(),
        }
    }

    /// Charges what every block may touch.
    pub fn charge(&mut self, base: &Base) -> Result<(), StateError> {
        self.slot(HISTORY, history_slot(base.number.saturating_sub(1)))?;
        let place = base.timestamp % BEACON_ROOTS_WINDOW;
        self.slot(BEACON_ROOTS_ADDRESS, U256::from(place))?;
        self.slot(BEACON_ROOTS_ADDRESS, U256::from(place + BEACON_ROOTS_WINDOW))?;
        self.account(SYSTEM_ADDRESS)?;
        (0..L1_BLOCK_SLOTS).try_for_each(|slot| self.slot(L1_BLOCK, U256::from(slot)))?;
        PREDEPLOYS.iter().try_for_each(|account| self.account(*account))?;
        base.depositors.iter().try_for_each(|account| self.account(*account))
    }

    /// A transaction begins; what was touched before is kept for good.
    pub fn begin(&mut self, payer: Payer) {
        if self.payer == Payer::Block {
            self.base = self.size.total();
        }
        self.keep();
        (self.payer, self.start, self.crossed) = (payer, self.size.total(), false);
    }

    /// What was touched stays counted.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Forgets what the last transaction has touched: it is not in the block.
    pub fn forget(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Account(address) => drop(self.accounts.remove(&address)),
                Undo::Slot(address, slot) => drop(self.slots.remove(&(address, slot))),
                Undo::Node(hash) => {
                    self.size.nodes -= self.nodes.remove(&hash).map_or(0, |node| node.rlp.len());
                }
                Undo::Code(hash) => self.size.codes -= self.codes.remove(&hash).unwrap_or_default(),
                Undo::Cleared(address, slot) => {
                    self.cleared.remove(&(address, slot));
                    self.size.siblings -= NODE_BYTES_MAX;
                }
            }
        }
        self.crossed = false;
    }

    /// Whether the transaction was stopped because something might not fit.
    pub fn crossed(&self) -> bool {
        self.crossed
    }

    /// Whether the transaction has all of the block's room: if it is stopped, it never fits.
    pub fn alone(&self) -> bool {
        self.start == self.base
    }

    /// What was counted so far.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes that users' transactions may still add.
    pub fn left(&self) -> usize {
        self.limit.saturating_sub(self.size.total())
    }

    /// Bytes that the payer may still add.
    fn room(&self) -> usize {
        let common = self.left();
        match self.payer {
            Payer::Block => usize::MAX,
            Payer::Common => common,
            Payer::Deposit(gas) => {
                let own = allowance(gas).saturating_sub(self.size.total() - self.start);
                let reserve = if self.spilled { 0 } else { CODE_BYTES_MAX };
                own.min(common.saturating_sub(reserve))
            }
        }
    }

    fn need(&mut self, bytes: usize) -> Result<(), StateError> {
        if bytes > self.room() { Err(self.cross()) } else { Ok(()) }
    }

    fn cross(&mut self) -> StateError {
        self.crossed = true;
        StateError::WitnessLimit
    }

    /// The value of a key, every node on its path counted.
    fn walk(&mut self, root: Ref, key: &B256) -> Result<Option<Value>, StateError> {
        let Some(mut walk) = Walk::new(root, key) else { return Ok(None) };
        loop {
            let at = walk.at();
            let found = match self.nodes.get(&at.hash) {
                Some(node) => walk.through(node)?,
                None => {
                    self.need(NODE_BYTES_MAX)?;
                    let node = self.source.node(&at)?;
                    self.size.nodes += node.rlp.len();
                    self.undo.push(Undo::Node(at.hash));
                    let found = walk.through(&node);
                    self.nodes.insert(at.hash, node);
                    found?
                }
            };
            if let Some(value) = found {
                return Ok(value);
            }
        }
    }

    /// An account is touched, present or absent.
    pub fn account(&mut self, address: Address) -> Result<(), StateError> {
        if self.accounts.contains_key(&address) {
            return Ok(());
        }
        let storage = match self.walk(self.root, &keys::of_account(&address))? {
            Some(value) => Ref { hash: StoredAccount::exact(&value.rlp)?.storage_root, link: value.link },
            None => EMPTY_ROOT_HASH.into(),
        };
        // Only now: a walk that was stopped must go on when it is tried again.
        self.accounts.insert(address, storage);
        self.undo.push(Undo::Account(address));
        Ok(())
    }

    /// A slot is touched, and so is its account.
    pub fn slot(&mut self, address: Address, slot: U256) -> Result<(), StateError> {
        self.account(address)?;
        if self.slots.contains(&(address, slot)) {
            return Ok(());
        }
        self.walk(self.accounts[&address], &keys::of_slot(&slot))?;
        self.slots.insert((address, slot));
        self.undo.push(Undo::Slot(address, slot));
        Ok(())
    }

    /// A code is asked for; `read` gives it, and is not called where it might not fit.
    pub fn code<C, E: From<StateError>>(
        &mut self,
        hash: B256,
        read: impl FnOnce() -> Result<C, E>,
        length: impl FnOnce(&C) -> usize,
    ) -> Result<C, E> {
        if self.codes.contains_key(&hash) {
            return read();
        }
        let bound = self.lengths.get(&hash).copied().unwrap_or(CODE_BYTES_MAX);
        let spills = bound > self.room() && !self.lengths.contains_key(&hash) && self.may_spill();
        if !spills {
            self.need(bound)?;
        }
        let code = read()?;
        let length = length(&code);
        self.spilled |= length > self.room();
        let fits = length <= self.room();
        self.size.codes += length;
        self.undo.push(Undo::Code(hash));
        self.codes.insert(hash, length);
        if fits { Ok(code) } else { Err(self.cross().into()) }
    }

    /// Whether a deposit may ask for a code of unknown length that might not fit its allowance.
    fn may_spill(&self) -> bool {
        matches!(self.payer, Payer::Deposit(_)) && !self.spilled && self.left() >= CODE_BYTES_MAX
    }

    /// What an executed transaction takes out of the state; asked before it is committed.
    pub fn clear(&mut self, changes: &AddressMap<Account>) -> Result<(), StateError> {
        let mut new: Vec<(Address, Option<U256>)> = Vec::new();
        for (address, account) in changes.iter().filter(|(_, account)| account.is_touched()) {
            let gone = account.is_selfdestructed() || account.is_empty();
            if gone && !account.is_loaded_as_not_existing() {
                new.push((*address, None));
            }
            let zeroed =
                |value: &revm::state::EvmStorageSlot| value.present_value.is_zero() && !value.original_value.is_zero();
            new.extend(
                account.storage.iter().filter(|(_, value)| zeroed(value)).map(|(slot, _)| (*address, Some(*slot))),
            );
        }
        new.retain(|place| !self.cleared.contains(place));
        // All or none: the changes come in no order.
        self.need(NODE_BYTES_MAX * new.len())?;
        self.size.siblings += NODE_BYTES_MAX * new.len();
        self.undo.extend(new.iter().map(|(address, slot)| Undo::Cleared(*address, *slot)));
        self.cleared.extend(new);
        Ok(())
    }
}

/// Bytes that a user's deposit with this gas limit may add.
fn allowance(gas: u64) -> usize {
    let gas = usize::try_from(gas).unwrap_or(usize::MAX);
    DEPOSIT_BYTES.saturating_add(gas.saturating_mul(DEPOSIT_BYTES_PER_KGAS) / 1_000)
}

/// The slot of EIP-2935's contract that holds a block's hash.
pub fn history_slot(number: u64) -> U256 {
    U256::from(number % HISTORY_WINDOW)
}
