//! The rule by itself: what counts, in whatever order; what is never read; what is forgotten.

use super::*;
use crate::{
    genesis,
    memory::MemoryStore,
    mpt::{NodeSource, walk},
    state::StateDb,
    witness::Recorder,
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Bytes, keccak256};
use revm::{
    DatabaseRef,
    state::{AccountStatus, EvmStorageSlot},
};
use std::collections::BTreeMap;

const UNLIMITED: usize = usize::MAX;
const HOLDER: Address = Address::repeat_byte(0xaa);

/// The `n`th random word.
fn word(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

fn stranger(n: u64) -> Address {
    Address::from_slice(&word(n)[12..])
}

/// 600 accounts, one of which holds 300 slots, and codes of several lengths.
fn world() -> (Arc<MemoryStore>, B256) {
    let mut alloc: BTreeMap<Address, GenesisAccount> =
        (0..600).map(|n| (stranger(n), GenesisAccount::default().with_balance(U256::from(n + 1)))).collect();
    let storage = (0..300).map(|n| (B256::from(U256::from(n)), B256::from(U256::from(n % 7 + 1)))).collect();
    alloc.insert(HOLDER, GenesisAccount::default().with_storage(Some(storage)));
    for length in [100, 20_000, 20_001, CODE_BYTES_MAX] {
        let account = GenesisAccount::default().with_code(Some(code(length)));
        alloc.insert(Address::left_padding_from(&length.to_be_bytes()), account);
    }
    let update = genesis::state(&alloc).unwrap();
    let store = MemoryStore::default();
    store.add(&update, 0).unwrap();
    (Arc::new(store), update.root)
}

fn code(length: usize) -> Bytes {
    vec![0x5b; length].into()
}

fn meter(limit: usize) -> Meter<Arc<MemoryStore>> {
    let (store, root) = world();
    let mut meter = Meter::new(store, root, limit, Arc::default());
    meter.begin(Payer::Common);
    meter
}

/// Something that a transaction may touch; the same number, the same thing.
fn touch<S: Source>(meter: &mut Meter<S>, n: u64) -> Result<(), StateError> {
    match n % 3 {
        0 => meter.account(stranger(n)),
        1 => meter.account(stranger(1_000_000 + n)), // there is no such account
        _ => meter.slot(HOLDER, U256::from(n)),      // every other one is empty
    }
}

fn ask<S: Source>(meter: &mut Meter<S>, length: usize) -> Result<Bytes, StateError> {
    let source = code(length);
    meter.code(keccak256(&source), || Ok(source.clone()), |code| code.len())
}

#[test]
fn a_walk_reads_what_a_look_up_reads() {
    let (store, root) = world();
    for n in 0..1_800 {
        let key = keccak256(stranger(n));
        let (walked, looked) = (Recorder::new(store.clone()), Recorder::new(store.clone()));
        let value = walk::<StateError>(root.into(), &key, |at| Ok(walked.node(at)?)).unwrap();
        let mut trie = crate::mpt::Trie::at(root);
        assert_eq!(value.as_ref(), trie.get(&key, &looked).unwrap());
        assert_eq!(walked.take().nodes, looked.take().nodes);
    }
}

#[test]
fn bytes_are_those_that_the_state_reads() {
    let (store, root) = world();
    let (walked, looked) = (Arc::new(Recorder::new(store.clone())), Arc::new(Recorder::new(store)));
    let mut meter = Meter::new(walked.clone(), root, UNLIMITED, Arc::default());
    let state = StateDb::at(root, looked.clone(), Default::default());
    for n in 0..600 {
        touch(&mut meter, n).unwrap();
        match n % 3 {
            0 => state.basic_ref(stranger(n)).map(drop),
            1 => state.basic_ref(stranger(1_000_000 + n)).map(drop),
            _ => state.storage_ref(HOLDER, U256::from(n)).map(drop),
        }
        .unwrap();
    }
    let (walked, looked) = (walked.take(), looked.take());
    assert_eq!(walked.nodes, looked.nodes);
    assert_eq!(meter.size().nodes, looked.nodes.values().map(|node| node.len()).sum::<usize>());
}

#[test]
fn order_does_not_matter() {
    let mut sizes = Vec::new();
    for shuffle in 0..20 {
        let mut order: Vec<u64> = (0..400).collect();
        order.sort_by_key(|n| word(n + 1_000 * shuffle));
        let mut meter = meter(UNLIMITED);
        for n in order {
            touch(&mut meter, n).unwrap();
            ask(&mut meter, [100, 20_000, 20_001][n as usize % 3]).unwrap();
        }
        sizes.push(meter.size());
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
}

#[test]
fn what_was_dropped_was_never_there() {
    let (mut with, mut without) = (meter(UNLIMITED), meter(UNLIMITED));
    for n in 0..300 {
        let keeps = word(n)[0] & 1 == 0;
        let transaction = |meter: &mut Meter<_>| {
            meter.begin(Payer::Common);
            touch(meter, n).unwrap();
            touch(meter, n + 7).unwrap();
            ask(meter, 100 + n as usize).unwrap();
            meter.clear(&changes(&[n, n + 1])).unwrap();
        };
        transaction(&mut with);
        if keeps { transaction(&mut without) } else { with.forget() }
    }
    assert_eq!(with.size(), without.size());
    assert!(with.size().siblings > 0 && with.size().nodes > 0 && with.size().codes > 0);
}

/// Whatever is tried, W stays within the limit, and nothing is read beyond it.
#[test]
fn the_limit_is_never_passed() {
    for limit in [10_000, 20_000, 60_000] {
        let (store, root) = world();
        let recorder = Arc::new(Recorder::new(store));
        let mut meter = Meter::new(recorder.clone(), root, limit, Arc::default());
        let mut crossed = 0;
        for n in 0..900 {
            let user = n > 400;
            meter.begin(if user { Payer::Common } else { Payer::Deposit(100_000) });
            let mut outcome = touch(&mut meter, n);
            if n % 50 == 0 {
                outcome = outcome.and(ask(&mut meter, 20_000 + n as usize % 3).map(drop));
            }
            if n % 5 == 0 {
                outcome = outcome.and(meter.clear(&changes(&[n])));
            }
            assert!(meter.size().total() <= limit);
            assert_eq!(outcome.is_err(), meter.crossed());
            crossed += usize::from(meter.crossed());
        }
        let read: usize = recorder.take().nodes.values().map(|node| node.len()).sum();
        assert_eq!(read, meter.size().nodes);
        assert!(crossed > 100);
    }
}

/// A path that was not walked to its end is walked again by the next one: nothing is read unmetered.
#[test]
fn a_stopped_walk_is_not_taken_for_a_whole_one() {
    let mut whole = meter(UNLIMITED);
    whole.account(stranger(5)).unwrap();
    let mut meter = meter(UNLIMITED);
    meter.limit = NODE_BYTES_MAX + 1;
    assert_eq!(meter.account(stranger(5)), Err(StateError::WitnessLimit));
    assert!(0 < meter.size().nodes && meter.size().nodes < whole.size().nodes);
    meter.limit = UNLIMITED;
    meter.begin(Payer::Common);
    meter.account(stranger(5)).unwrap();
    assert_eq!(meter.size(), whole.size());
}

#[test]
fn a_code_is_not_read_where_it_might_not_fit() {
    // Its length is not known: there must be room for the longest.
    let mut meter = meter(CODE_BYTES_MAX - 1);
    let read = || -> Result<Bytes, StateError> { panic!("it was read") };
    assert_eq!(meter.code(word(1), read, |code| code.len()), Err(StateError::WitnessLimit));
    assert!(meter.crossed() && meter.alone());

    // It is known.
    let lengths = B256Map::from_iter([(keccak256(code(100)), 100), (word(2), 5_000)]);
    meter.lengths = Arc::new(lengths);
    meter.limit = 4_999;
    meter.begin(Payer::Common);
    ask(&mut meter, 100).unwrap();
    assert_eq!(meter.size().codes, 100);
    assert_eq!(meter.code(word(2), read, |code| code.len()), Err(StateError::WitnessLimit));

    // It was read before.
    meter.limit = 100;
    meter.begin(Payer::Common);
    ask(&mut meter, 100).unwrap();
    assert_eq!(meter.size().codes, 100);
}

/// One deposit in a block may find out that a code is too long for it; the next one is stopped before it reads.
#[test]
fn one_code_may_spill_over_an_allowance() {
    let mut meter = meter(100_000);
    meter.begin(Payer::Deposit(100_000));
    ask(&mut meter, 100).unwrap(); // fits, so the room for one is still there
    meter.begin(Payer::Deposit(100_000));
    assert_eq!(ask(&mut meter, 20_000), Err(StateError::WitnessLimit));
    assert_eq!(meter.size().codes, 20_100);
    meter.begin(Payer::Deposit(100_000));
    assert_eq!(ask(&mut meter, 20_001), Err(StateError::WitnessLimit));
    assert_eq!(meter.size().codes, 20_100, "it was not read");
    // What is in the witness already costs nothing, and who has room for the longest needs no favour.
    ask(&mut meter, 20_000).unwrap();
    meter.begin(Payer::Deposit(600_000));
    ask(&mut meter, 20_001).unwrap();
}

/// Whatever deposits before it have done, a deposit has its allowance.
#[test]
fn no_deposit_uses_up_anothers_allowance() {
    let mut meter = meter(200_000);
    for attacker in 0..8 {
        meter.begin(Payer::Deposit(60_000));
        let mut place = 100 * attacker;
        while touch(&mut meter, place).is_ok() {
            place += 1;
        }
        let _ = ask(&mut meter, CODE_BYTES_MAX - attacker as usize);
        meter.keep();
    }
    for victim in 0..8 {
        meter.begin(Payer::Deposit(100_000));
        assert!(meter.room() >= allowance(100_000), "deposit {victim}");
        touch(&mut meter, 3 * victim).unwrap();
        ask(&mut meter, 100).unwrap_or_else(|_| Bytes::new()); // unknown length: only while nobody has spilled
    }
}

#[test]
fn clears_are_counted_once_and_all_or_none() {
    let mut meter = meter(3 * NODE_BYTES_MAX);
    meter.clear(&changes(&[1, 2])).unwrap();
    meter.clear(&changes(&[2])).unwrap();
    assert_eq!(meter.size().siblings, 2 * NODE_BYTES_MAX);
    assert_eq!(meter.clear(&changes(&[3, 4])), Err(StateError::WitnessLimit));
    assert_eq!(meter.size().siblings, 2 * NODE_BYTES_MAX);
    meter.begin(Payer::Common);
    let mut removed = Account::default();
    removed.mark_touch();
    meter.clear(&AddressMap::from_iter([(stranger(1), removed)])).unwrap();
    assert_eq!(meter.size().siblings, 3 * NODE_BYTES_MAX);
    // One that was never there, or whose slots were zero before, takes nothing out.
    let mut absent = Account { status: AccountStatus::LoadedAsNotExisting, ..Default::default() };
    absent.mark_touch();
    absent.storage.insert(U256::ZERO, EvmStorageSlot::new_changed(U256::ZERO, U256::ZERO, Default::default()));
    meter.clear(&AddressMap::from_iter([(stranger(2), absent)])).unwrap();
    assert_eq!(meter.size().siblings, 3 * NODE_BYTES_MAX);
}

/// A transaction's changes: these slots go from one to zero.
fn changes(slots: &[u64]) -> AddressMap<Account> {
    let mut account = Account::default();
    account.info.nonce = 1;
    account.mark_touch();
    for slot in slots {
        let cleared = EvmStorageSlot::new_changed(U256::from(1), U256::ZERO, Default::default());
        account.storage.insert(U256::from(*slot), cleared);
    }
    AddressMap::from_iter([(HOLDER, account)])
}

/// Every touch that the block makes anyway is charged before the first transaction.
#[test]
fn the_base_is_charged_first() {
    let (store, root) = world();
    let mut meter = Meter::new(store, root, 0, Arc::default());
    let depositors = vec![stranger(1), stranger(2)];
    let base = Base { number: 9_000, timestamp: 12, depositors };
    meter.charge(&base).unwrap();
    let charged = meter.size();
    meter.begin(Payer::Common);
    assert!(meter.alone() && meter.left() == 0);
    for slot in 0..L1_BLOCK_SLOTS {
        meter.slot(L1_BLOCK, U256::from(slot)).unwrap();
    }
    meter.account(stranger(2)).unwrap();
    meter.slot(HISTORY, U256::from(8_999 % 8_191)).unwrap();
    assert_eq!(meter.size(), charged);
    assert_eq!(meter.account(stranger(77)), Err(StateError::WitnessLimit));
}
