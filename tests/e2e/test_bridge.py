"""The bridge of a devnet of real processes, used with the tools that people have: viem, ethers, cast, the command line; and killed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import orjson
import pytest

from deploy.testing.devnet import attach
from node.contracts.artifacts import load
from node.contracts.withdrawals import WITHDRAWAL_FINALIZED, WITHDRAWAL_PROVEN
from tests.e2e.devnet import Devnet, RpcFailure, wait_for
from tests.e2e.environments import WALLETS, node_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

SCRIPT_DEADLINE_S: Final = 900
"""Of a whole withdrawal with somebody's tools; machines are slow at times."""

SETTLED_DEADLINE_S: Final = 600.0
"""Of a withdrawal whose relayer is killed again and again."""

BRIDGE, WATCHTOWER = 0, 1
"""Places among the processes that follow the sequencer."""

CAST_KEY: Final = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"
"""The well-known mnemonic's account 9."""

COMMAND_KEY: Final = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"
"""Its account 3, which the command line uses."""

README_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Its account 0, whose key the README shows."""

READER_KEY: Final = "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"
"""Its account 5, for whoever runs what the README shows."""

STAGES: Final = ("initiated", "provable", "proven", "in_challenge", "finalizable", "settled")
"""In their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """A devnet whose bridge is ready, and a folder in which its users' scripts run."""

    devnet: Devnet
    """It."""
    folder: Path
    """The scripts', with the chains pasted in."""

    def cast(self, *arguments: str) -> str:
        """What cast answers."""
        program = self.folder / "node_modules" / ".bin" / "cast"
        return _output([str(program), *arguments], self.folder)

    def report(self, name: str, replica: int = BRIDGE) -> dict[str, object] | None:
        """Where a withdrawal stands; None while a process does not answer or does not know it."""
        try:
            found = self.devnet.l2_rpc("rollup_withdrawal", name, replica=replica)
        except OSError:
            return None
        return found if isinstance(found, dict) else None

    def has_come(self, name: str, stage: str, replica: int = BRIDGE) -> str | None:
        """The state of a withdrawal once it has come as far as this stage."""
        report = self.report(name, replica)
        if report is None or STAGES.index(str(report["state"])) < STAGES.index(stage):
            return None
        return str(report["state"])


@pytest.fixture(scope="module")
def bridged(breakable: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Bridged:
    """The folder of its users' scripts."""
    folder = tmp_path_factory.mktemp("bridge") / "tests" / "e2e" / "wallets"
    folder.mkdir(parents=True)
    for file in WALLETS.glob("*.mjs"):
        shutil.copy(file, folder / file.name)
    shutil.copytree(WALLETS.parents[1] / "kit" / "contracts", folder.parents[1] / "kit/contracts")
    weth = load("WETH")
    (folder / "WETH.json").write_bytes(
        orjson.dumps({"abi": weth.abi, "init": "0x" + weth.init.hex()})
    )
    (folder / "node_modules").symlink_to(node_project() / "node_modules")
    attach(breakable.data).recover()
    # What a user does: paste the chains
    viem = breakable.faultline("addresses", "--format", "viem").stdout
    (folder / "chains.mjs").write_text(viem)
    (folder / "addresses.json").write_text(breakable.faultline("addresses", "--json").stdout)
    return Bridged(devnet=breakable, folder=folder)


@pytest.fixture(scope="module")
def users(bridged: Bridged) -> Iterator[dict[str, Future[object]]]:
    """Users of different tools side by side, each with an account of its own, for their waits overlap."""

    def script(name: str, *arguments: str) -> object:
        return orjson.loads(_output(["node", name, *arguments], bridged.folder))

    with ThreadPoolExecutor() as pool:
        yield {
            "viem": pool.submit(script, "viem_withdrawal.mjs", bridged.devnet.l2_url(BRIDGE)),
            "viem, tokens": pool.submit(script, "viem_tokens.mjs"),
            "ethers": pool.submit(script, "ethers_bridge.mjs"),
            "cast": pool.submit(cast_deposits_and_withdraws, bridged),
            "the command line": pool.submit(the_command_line_moves_tokens_both_ways, bridged),
            "the README's lines": pool.submit(the_readme_deposits_and_withdraws, bridged),
        }


def _output(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SCRIPT_DEADLINE_S, check=False
    )
    assert done.returncode == 0, f"{command[:3]}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("script", ["viem", "viem, tokens", "ethers"])
def test_wallets_deposit_and_withdraw_by_themselves(
    users: dict[str, Future[object]], script: str
) -> None:
    assert isinstance(users[script].result(SCRIPT_DEADLINE_S), dict)


@pytest.mark.parametrize("tool", ["cast", "the command line", "the README's lines"])
def test_tools_deposit_and_withdraw(users: dict[str, Future[object]], tool: str) -> None:
    users[tool].result(SCRIPT_DEADLINE_S)


def the_readme_deposits_and_withdraws(bridged: Bridged) -> None:
    """Its two pieces with viem's op-stack actions, one behind the other, as they stand there."""
    readme = (WALLETS.parents[2] / "README.md").read_text()
    pieces = [
        piece
        for piece in re.findall(r"```js\n(.*?)```", readme, re.DOTALL)
        if "depositTransaction" in piece or "proveWithdrawal" in piece
    ]
    assert len(pieces) == 2
    script = "".join(pieces)
    assert README_KEY in script
    (bridged.folder / "readme.mjs").write_text(script.replace(README_KEY, READER_KEY))
    deposited, settled = _output(["node", "readme.mjs"], bridged.folder).splitlines()
    assert deposited.startswith("success in L2 block ")
    assert settled == "success"


def cast_deposits_and_withdraws(bridged: Bridged) -> None:
    """With what L1 and L2 answer to anybody, and cast alone."""
    devnet, cast = bridged.devnet, bridged.cast
    contracts = devnet.addresses()
    portal, passer = contracts["l1"]["portal"], contracts["l2"]["l2ToL1MessagePasser"]
    on_l1, on_l2 = ["--rpc-url", devnet.rpc_url()], ["--rpc-url", devnet.l2_url()]
    paying = ["--private-key", CAST_KEY, "--json"]
    receiver = "0x" + "c9" * 20
    message = "(uint256,address,address,uint256,uint256,bytes)"

    # A deposit
    deposit = ["depositTransaction(address,uint256,uint64,bool,bytes)", receiver, "5"]
    cast("send", *on_l1, *paying, portal, *deposit, "100000", "false", "0x", "--value", "5")
    wait_for("the deposit", lambda: cast("balance", *on_l2, receiver).strip() == "5")

    # Initiated
    call = ["initiateWithdrawal(address,uint256,bytes)", receiver, "50000", "0x"]
    sent = orjson.loads(cast("send", *on_l2, *paying, passer, *call, "--value", "11"))
    [log] = [one for one in sent["logs"] if one["address"].lower() == passer.lower()]
    kinds = "a()(uint256,uint256,bytes,bytes32)"
    decoded = orjson.loads(cast("decode-abi", "--json", kinds, log["data"]))
    nonce, sender = int(log["topics"][1], 16), "0x" + log["topics"][2][-40:]
    name = decoded[3]
    transaction = f"({nonce},{sender},{receiver},11,50000,0x)"

    # Proven under the game that the watchtower names
    wait_for("a game", partial(bridged.has_come, name, "provable", WATCHTOWER))
    report = bridged.report(name, WATCHTOWER)
    assert report is not None
    game = report["game"]
    assert isinstance(game, dict)
    number = int(game["l2BlockNumber"], 16)
    slot = cast("index", "bytes32", name, "0").strip()
    proof = orjson.loads(cast("proof", *on_l2, passer, slot, "--block", str(number)))
    block = orjson.loads(cast("block", *on_l2, str(number), "--json"))
    output = f"(0x{'00' * 32},{block['stateRoot']},{proof['storageHash']},{block['hash']})"
    nodes = f"[{','.join(proof['storageProof'][0]['proof'])}]"
    prove = (
        f"proveWithdrawalTransaction({message},uint256,(bytes32,bytes32,bytes32,bytes32),bytes[])"
    )
    index = str(int(game["index"], 16))
    cast("send", *on_l1, *paying, portal, prove, transaction, index, output, nodes)

    # Settled
    wait_for(
        "the withdrawal to be finalizable",
        partial(bridged.has_come, name, "finalizable", WATCHTOWER),
        SETTLED_DEADLINE_S,
    )
    finalize = f"finalizeWithdrawalTransaction({message})"
    cast("send", *on_l1, *paying, portal, finalize, transaction)
    assert cast("balance", *on_l1, receiver).strip() == "11"
    done = cast("call", *on_l1, portal, "finalizedWithdrawals(bytes32)(bool)", name)
    assert done.strip() == "true"


def the_command_line_moves_tokens_both_ways(bridged: Bridged) -> None:
    """ERC-20 tokens, by `faultline deposit` and `faultline withdraw`."""
    devnet = bridged.devnet
    on_l1 = ["--rpc-url", devnet.rpc_url()]
    # Given a token on L1
    paying = ["--private-key", COMMAND_KEY]
    created = orjson.loads(
        bridged.cast("send", *on_l1, *paying, "--json", "--create", "0x" + load("WETH").init.hex())
    )
    token = created["contractAddress"]
    bridged.cast("send", *on_l1, *paying, token, "deposit()", "--value", "3ether")

    def balance(url: str, contract: str, owner: str) -> int:
        call = ["balanceOf(address)(uint256)", owner]
        return int(bridged.cast("call", "--rpc-url", url, contract, *call).split()[0])

    # When the command line takes it to L2
    owner = bridged.cast("wallet", "address", "--private-key", COMMAND_KEY).strip()
    args = ["--token", token, "--from", "3", "--json"]
    deposited = orjson.loads(devnet.faultline("deposit", "2.5", *args).stdout)
    twin = deposited["l2Token"]
    assert deposited["succeeded"] is True
    assert [one["step"] for one in deposited["steps"]] == ["twin", "sent", "on L2"]
    assert balance(devnet.l2_url(), twin, owner) == 25 * 10**17
    # And some of it back, by its name on either layer
    withdrawn = devnet.faultline(
        "withdraw", "1", "--wait", "--token", twin, "--from", "3", "--json", timeout_s=900
    )
    report = orjson.loads(withdrawn.stdout)
    assert (report["state"], report["settlement"]["succeeded"]) == ("settled", True)
    assert [one["step"] for one in report["steps"]] == [stage.replace("_", " ") for stage in STAGES]
    assert balance(devnet.rpc_url(), token, owner) == 15 * 10**17
    assert balance(devnet.l2_url(), twin, owner) == 15 * 10**17
    # Then it is listed, and a second deposit needs no second twin
    listed = orjson.loads(devnet.faultline("withdrawals", "--json", "--limit", "1000").stdout)
    assert report["withdrawalHash"] in [one["withdrawalHash"] for one in listed]
    again = orjson.loads(devnet.faultline("deposit", "0.5", *args).stdout)
    assert again["l2Token"] == twin
    assert balance(devnet.l2_url(), twin, owner) == 2 * 10**18


def test_who_follows_no_games_says_who_does(bridged: Bridged) -> None:
    with pytest.raises(RpcFailure, match="ask the bridge or the watchtower"):
        bridged.devnet.l2_rpc("rollup_game", "0x0")
    games = [
        bridged.devnet.l2_rpc("rollup_game", "0x0", replica=one) for one in (BRIDGE, WATCHTOWER)
    ]
    assert all(isinstance(game, dict) and game["index"] == "0x0" for game in games)


def test_kills_at_every_stage_change_nothing(bridged: Bridged, devnet_to_break: Devnet) -> None:
    devnet, receiver = bridged.devnet, "0x" + "d1" * 20
    # Given a withdrawal that the relayer was asked to settle
    answer = devnet.faultline("withdraw", "0.75", "--to", receiver, "--from", "4", "--json").stdout
    asked = orjson.loads(answer)
    assert asked["relayer"] == "asked"
    name = asked["withdrawalHash"]
    # When bridge and watchtower are killed whenever it has come further
    reached: list[str] = []
    for stage in STAGES:
        state = wait_for(
            f"the withdrawal to be {stage}",
            partial(_either, bridged, name, stage),
            SETTLED_DEADLINE_S,
        )
        reached.append(state)
        for process in ("bridge", "watchtower"):
            devnet.process(process).kill()
            devnet.process(process).start()
    assert reached[-1] == "settled"
    # Then it was proven once, settled once, and paid to the wei
    amount = devnet.rpc("eth_getBalance", receiver, "latest")
    assert amount == hex(75 * 10**16)
    for topic in (WITHDRAWAL_PROVEN, WITHDRAWAL_FINALIZED):
        logs = devnet.rpc(
            "eth_getLogs",
            {"fromBlock": "0x0", "toBlock": "latest", "topics": ["0x" + topic.hex(), name]},
        )
        assert isinstance(logs, list)
        assert len(logs) == 1
    for replica in (BRIDGE, WATCHTOWER):
        wait_for("both to tell", partial(bridged.has_come, name, "settled", replica))


def _either(bridged: Bridged, name: str, stage: str) -> str | None:
    """The state once bridge or watchtower tell that it has come so far."""
    asks: list[Callable[[], str | None]] = [
        partial(bridged.has_come, name, stage, replica) for replica in (BRIDGE, WATCHTOWER)
    ]
    return next((state for state in (ask() for ask in asks) if state), None)
