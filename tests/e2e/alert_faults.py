"""Faults that alerts are meant for, beyond those of `faultline break`: of the machine, of accounts, of people who lie.

Each is a context in which the fault lasts.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import orjson
from coincurve import PrivateKey
from eth_account import Account as EthAccount

from deploy.accounts import FundedAccount
from deploy.adversaries.acting import TIP_WEI, Actor, Reverted, balance, read
from deploy.adversaries.claims import Claimed, claim, status, truth
from deploy.adversaries.false_output import PROVE_GAS, Lie, lie, message_of, prove_call
from deploy.adversaries.stage import Stage
from deploy.adversaries.withdrawals import FINALIZE_GAS
from deploy.commands.attacking import DevnetProcesses, stage_of
from deploy.derivation import mnemonic_accounts
from deploy.json_rpc import RpcRefused
from deploy.layout import Layout
from deploy.network import load_network
from node.contracts.abi import encode_call
from node.contracts.addresses import PORTAL
from node.contracts.disputes import GameStatus, resolve
from node.contracts.withdrawals import check_withdrawal, finalize_withdrawal
from node.eth.primitives import Address
from tests.e2e.devnet import Devnet, RpcFailure
from tests.kit.blobs import make_blob, sign_network_form
from tests.kit.transfers import Sender

ACCOUNTS: Final = mnemonic_accounts(10)
ETHER: Final = 10**18
TRANSFER_GAS: Final = 21_000

RESOLVE_GAS: Final = 1_000_000
GROUPS: Final = Path("/sys/fs/cgroup")


@contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[None]:
    """Do something over and over in a thread, as long as the context lasts."""
    done = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not done.is_set():
                act()
        except Exception as error:  # noqa: BLE001  # raised again below
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]


# -- of the machine


@contextmanager
def stuttering(pid: int) -> Iterator[None]:
    """A process that gets no processor for more than a second, again and again."""
    pause = threading.Event()

    def stutter() -> None:
        os.kill(pid, signal.SIGSTOP)
        pause.wait(1.4)
        os.kill(pid, signal.SIGCONT)
        pause.wait(0.9)

    with again_and_again(stutter):
        yield


@contextmanager
def few_open_files(pid: int) -> Iterator[None]:
    """A process whose limit of open files is a little above what it has open."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    count = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count + 2, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def memory_groups() -> Path | None:
    """Where a control group with a memory limit can be made; None where nobody lets us."""
    for root in (GROUPS / "memory", GROUPS):
        is_second = (root / "cgroup.subtree_control").exists()
        if is_second and "memory" not in (root / "cgroup.subtree_control").read_text():
            continue
        if os.access(root, os.W_OK) and (is_second or root.name == "memory"):
            return root
    return None


@contextmanager
def little_memory(pid: int) -> Iterator[None]:
    """A process in a control group whose limit is a little above what it has."""
    root = memory_groups()
    assert root is not None
    group = root / f"faultline-test-{pid}"
    group.mkdir()
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    name = "memory.limit_in_bytes" if root.name == "memory" else "memory.max"
    (group / name).write_text(str(resident * 10 // 9))
    home = _own_group(pid, root)
    (group / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        (home / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def _own_group(pid: int, root: Path) -> Path:
    wanted = "memory" if root.name == "memory" else ""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == wanted:
            return root / path.lstrip("/")
    raise AssertionError("a process is in some group")


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A file that takes all but a fiftieth of the disk that a folder lies on."""
    disk = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as stream:
        spare = disk.f_blocks * disk.f_frsize // 50
        os.posix_fallocate(stream.fileno(), 0, disk.f_bavail * disk.f_frsize - spare)
    try:
        yield
    finally:
        ballast.unlink()


def change_a_row(index: Path) -> str:
    """Put a row into an index of withdrawals whose block is no number; the hash that it answers to."""
    name = os.urandom(32)
    with closing(sqlite3.connect(index)) as connection, connection:
        connection.execute("INSERT INTO withdrawals VALUES (?, 'the last one', 0)", (name,))
    return "0x" + name.hex()


@contextmanager
def moved_away(file: Path) -> Iterator[None]:
    """A file that is somewhere else."""
    there = file.with_suffix(".away")
    file.rename(there)
    try:
        yield
    finally:
        there.rename(file)


# -- of tools


def nonsense(devnet: Devnet) -> None:
    """A call of a method that there is not, to a process that answers nothing slowly."""
    try:
        devnet.rpc("eth_nothing", validator=3)
    except RpcFailure:
        return
    raise AssertionError("eth_nothing was answered")


def endless(devnet: Devnet) -> None:
    """A trace of a loop that ends with its gas only."""
    call = {"data": "0x5b600056", "gas": hex(30_000_000)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "debug_traceCall", "params": [call, "latest", {}]}
    request = urllib.request.Request(
        devnet.rpc_url(), orjson.dumps(body), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def send_blob(devnet: Devnet, validator: int) -> None:
    """Send a blob transaction to one validator."""
    key = PrivateKey(bytes.fromhex(ACCOUNTS[6].private_key.removeprefix("0x")))
    sender = Sender(key, bytes.fromhex(ACCOUNTS[6].address[2:]))
    nonce = devnet.rpc(
        "eth_getTransactionCount", ACCOUNTS[6].address, "pending", validator=validator
    )
    raw = sign_network_form(sender, [make_blob(validator)], nonce=int(str(nonce), 16))
    devnet.rpc("eth_sendRawTransaction", "0x" + raw.hex(), validator=validator)


def transfer_on_l2(devnet: Devnet) -> None:
    """A transfer that the sequencer seals."""
    sender = ACCOUNTS[3]
    nonce = devnet.l2_rpc("eth_getTransactionCount", sender.address, "pending")
    signed = EthAccount.sign_transaction(
        {
            "chainId": 901,
            "type": 2,
            "nonce": int(str(nonce), 16),
            "to": ACCOUNTS[4].address,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 10**9,
            "maxPriorityFeePerGas": 1,
        },
        sender.private_key,
    )
    devnet.l2_rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())


# -- of accounts and liars


def stage_for(devnet: Devnet) -> Stage:
    """What an adversary of a devnet stands on; nobody is told."""
    network = load_network(Layout(devnet.data))
    return stage_of(network, DevnetProcesses(network), lambda speaker, line: None)


def holder(stage: Stage, key_file: Path) -> Actor:
    """A process's own account, used by somebody else."""
    key = "0x" + key_file.read_text().strip().removeprefix("0x")
    return Actor(stage, FundedAccount(address=EthAccount.from_key(key).address, private_key=key))


def drain(stage: Stage, key_file: Path) -> bool:
    """Send what an account has to one of the ten; tells whether nothing is left that it could pay with."""
    actor = holder(stage, key_file)
    held_wei = balance(stage.l1, actor.address)
    head = stage.l1.ask("eth_getBlockByNumber", "latest", False)
    assert isinstance(head, dict)
    reserve_wei = TRANSFER_GAS * (2 * int(str(head["baseFeePerGas"]), 16) + TIP_WEI)
    if held_wei < 2 * reserve_wei:
        return True
    try:
        to = Address(bytes.fromhex(ACCOUNTS[0].address[2:]))
        actor.receipt(actor.send(to, value_wei=held_wei - reserve_wei, gas=TRANSFER_GAS))
    except RpcRefused:
        return False  # Its owner paid with it meanwhile, or the base fee rose: the next look tries again.
    return False


def refill(stage: Stage, key_file: Path, value_wei: int) -> None:
    """Send an account what it needs."""
    actor = holder(stage, key_file)
    Actor(stage, ACCOUNTS[0]).do(actor.address, value_wei=value_wei)


def tell_lie(stage: Stage) -> tuple[Actor, Lie, Claimed]:
    """Claim an output that pays a thief, and prove the theft under it."""
    thief = Actor(stage, stage.account())
    honest = truth(stage)
    told = lie(honest, "last", thief.address, int.from_bytes(os.urandom(4)))
    claimed = claim(stage, thief, honest, told.roots)
    receipt = thief.receipt(
        thief.send(PORTAL, prove_call(told.theft, claimed.index), gas=PROVE_GAS)
    )
    assert receipt.succeeded
    return thief, told, claimed


def resolve_by_copy(stage: Stage, thief: Actor, claimed: Claimed) -> None:
    """Decide a game with the proof of finality that the proposer sent for one of its own; anybody may."""

    def attempt() -> bool:
        if status(stage, claimed.game) is not GameStatus.IN_PROGRESS:
            return True
        proof = _newest_resolution(stage)
        if proof is None:
            return False
        try:
            read(stage.l1, claimed.game, proof, sender=thief.account.address)
        except Reverted:
            return False  # Not due yet.
        return thief.receipt(thief.send(claimed.game, proof, gas=RESOLVE_GAS)).succeeded

    stage.until("the false game to be decided", lambda: attempt() or None, 300.0)
    assert status(stage, claimed.game) is GameStatus.DEFENDER_WINS


def _newest_resolution(stage: Stage) -> bytes | None:
    selector = "0x" + resolve(b"", 0, (), 0)[:4].hex()
    head = int(str(stage.l1.ask("eth_blockNumber")), 16)
    for number in range(head, max(0, head - 6), -1):
        block = stage.l1.ask("eth_getBlockByNumber", hex(number), True)
        assert isinstance(block, dict)
        transactions = block["transactions"]
        assert isinstance(transactions, list)
        for transaction in transactions:
            assert isinstance(transaction, dict)
            if str(transaction["input"]).startswith(selector):
                return bytes.fromhex(str(transaction["input"])[2:])
    return None


def take_the_money(stage: Stage, thief: Actor, told: Lie) -> None:
    """Settle the theft as soon as the Portal lets it happen."""
    check = check_withdrawal(told.theft.name, thief.address)

    def is_payable() -> bool:
        try:
            read(stage.l1, PORTAL, check, sender=thief.account.address)
        except Reverted:
            return False
        return True

    stage.until("the theft to be payable", lambda: is_payable() or None, 300.0)
    call = finalize_withdrawal(message_of(told.theft))
    assert thief.receipt(thief.send(PORTAL, call, gas=FINALIZE_GAS)).succeeded


def give_back(stage: Stage, value_wei: int) -> None:
    """Give the Portal money that nobody is owed."""
    Actor(stage, ACCOUNTS[0]).do(PORTAL, encode_call("donateETH()"), value_wei=value_wei)
