"""The tree above finality: what becomes canonical, what is dropped, what is final."""

from __future__ import annotations

from random import Random

import pytest

from node.chain.tree import ANCESTORS_MAX, RECENT_MAX, BlockTree
from node.eth.primitives import ZERO_HASH, BlockNumber, Hash32, Slot
from node.storage.chain_database import TreeEntry


def name(text: str) -> Hash32:
    return Hash32(text.encode().rjust(32, b"\0"))


def entry(text: str, parent: TreeEntry | None, *, slot: int | None = None) -> TreeEntry:
    number = 0 if parent is None else parent.number + 1
    return TreeEntry(
        slot=Slot(number if slot is None else slot),
        block_hash=name(text),
        number=BlockNumber(number),
        parent_hash=ZERO_HASH if parent is None else parent.block_hash,
    )


def forked() -> tuple[BlockTree, dict[str, TreeEntry]]:
    """A tree: root - a1 - a2 - a3, and root - b1 - b2."""
    made = {"root": entry("root", None)}
    tree = BlockTree(made["root"])
    for text, parent in (("a1", "root"), ("a2", "a1"), ("a3", "a2"), ("b1", "root"), ("b2", "b1")):
        made[text] = entry(text, made[parent])
        tree.add(made[text])
    return tree, made


def test_a_longer_head_adds_and_drops_nothing() -> None:
    tree, _ = forked()

    move = tree.set_head(name("a2"))

    assert (move.added, move.dropped) == ((name("a1"), name("a2")), ())
    assert tree.head.block_hash == name("a2")
    assert tree.canonical_hash(2) == name("a2")
    assert tree.canonical_hash(3) is None


def test_another_branch_drops_from_the_old_head_down() -> None:
    tree, made = forked()
    tree.set_head(name("a3"))

    move = tree.set_head(name("b2"))

    assert move.added == (name("b1"), name("b2"))
    assert move.dropped == (name("a3"), name("a2"), name("a1"))
    assert not tree.is_canonical(made["a1"])
    assert tree.canonical_hash(3) is None


def test_a_head_may_go_back_on_its_own_chain() -> None:
    tree, _ = forked()
    tree.set_head(name("a3"))

    move = tree.set_head(name("a1"))

    assert (move.added, move.dropped) == ((), (name("a3"), name("a2")))
    assert tree.head.block_hash == name("a1")


def test_pruning_tells_forks_from_what_is_final() -> None:
    tree, made = forked()
    tree.set_head(name("a3"))

    canonical, forks = tree.prune(
        [name(text) for text in ("b2", "a1", "root", "b1")], indexed_number=0
    )

    assert canonical == [made["root"], made["a1"]]
    assert forks == [made["b1"], made["b2"]]
    assert len(tree) == 2
    assert name("a1") not in tree
    assert tree.is_recent(name("a1"))
    assert tree.canonical_entry(1) == made["a1"]
    assert tree.canonical_hash(2) == name("a2")


def test_ancestors_come_newest_first_and_reach_below_the_root() -> None:
    tree, _ = forked()
    tree.set_head(name("a3"))
    tree.prune([name("root"), name("b1"), name("b2")], indexed_number=0)

    chain = [name(text) for text in ("a3", "a2", "a1", "root")]
    assert tree.ancestors(name("a3")) == b"".join(chain)
    assert tree.ancestors(name("b1")) is None


def test_ancestors_of_a_side_branch_join_the_canonical_chain() -> None:
    tree, _ = forked()
    tree.set_head(name("a3"))

    assert tree.ancestors(name("b2")) == name("b2") + name("b1") + name("root")


def test_at_most_256_ancestors_are_given_and_few_more_are_kept() -> None:
    tip = entry("0", None)
    tree = BlockTree(tip)
    for number in range(1, 2_000):
        below, tip = tip, entry(str(number), tip)
        tree.add(tip)
        tree.set_head(tip.block_hash)
        tree.prune([below.block_hash], indexed_number=below.number)

    hashes = tree.ancestors(tip.block_hash)

    assert hashes is not None
    assert hashes[:32] == tip.block_hash
    assert len(hashes) == 32 * ANCESTORS_MAX
    assert tree.canonical_hash(1_999 - RECENT_MAX) is not None
    assert tree.canonical_hash(1_998 - RECENT_MAX) is None


def test_what_is_not_indexed_on_disk_is_never_forgotten() -> None:
    tip = entry("0", None)
    tree = BlockTree(tip)
    for number in range(1, 2 * RECENT_MAX):
        below, tip = tip, entry(str(number), tip)
        tree.add(tip)
        tree.set_head(tip.block_hash)
        tree.prune([below.block_hash], indexed_number=7)

    assert tree.canonical_hash(7) is None
    assert tree.canonical_hash(8) == name("8")


@pytest.mark.parametrize("seed", range(20))
def test_heads_at_random_agree_with_walking_the_parents(seed: int) -> None:
    dice = Random(seed)
    entries = [entry("root", None)]
    tree = BlockTree(entries[0])
    for number in range(60):
        parent = dice.choice(entries[-6:])
        entries.append(entry(f"{number}", parent, slot=number + 1))
        tree.add(entries[-1])
    by_hash = {one.block_hash: one for one in entries}

    def chain_to(tip: Hash32) -> list[Hash32]:
        found = [tip]
        while found[-1] != entries[0].block_hash:
            found.append(by_hash[found[-1]].parent_hash)
        return found

    known = [entries[0].block_hash]
    for _ in range(40):
        head = dice.choice(entries).block_hash
        move = tree.set_head(head)
        wanted = chain_to(head)
        assert list(move.dropped) == [one for one in known if one not in wanted]
        assert list(move.added) == [one for one in reversed(wanted) if one not in known]
        assert tree.ancestors(head) == b"".join(wanted)
        known = wanted
