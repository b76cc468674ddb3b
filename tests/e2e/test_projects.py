"""Projects of hardhat, foundry and web3.py that know nothing of Faultline but a URL and a chain id, on both layers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from tests.e2e.devnet import Devnet, wait_for
from tests.e2e.environments import (
    WALLETS,
    environment_with,
    node_22,
    node_project,
    python_environment,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(1_500)]

PROJECTS = Path(__file__).parent / "projects"
"""A contract, and the projects that deploy and test it."""

PROGRAM_DEADLINE_S = 300
"""The longest that one command may take."""

JUNK = "test test test test test test test test test test test junk"
"""The mnemonic of the funded accounts."""

ACCOUNT_OF_IGNITION = 5
"""Index of the account that ignition deploys from; hardhat's tests send from 3 and 4."""

ACCOUNT_OF_FOUNDRY = 9
"""Index of the account that foundry's project sends from."""

KEPT = "Kept(uint256 indexed,address indexed,uint256,string)"
"""The event of a deposit in the box, as cast wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A chain as a user knows it."""

    name: str
    """What the projects call it."""
    chain_id: int
    """Its chain id."""
    url: str
    """Its JSON-RPC."""


def on_both_layers(devnet: Devnet, use: Callable[[Layer], None]) -> None:
    """Use both chains at the same time: a user of L1 waits for slots more than it works."""
    layers = (
        Layer(name="l1", chain_id=900, url=devnet.rpc_url(2)),
        Layer(name="l2", chain_id=901, url=devnet.l2_url()),
    )
    with ThreadPoolExecutor(max_workers=len(layers)) as pool:
        for used in [pool.submit(use, layer) for layer in layers]:
            used.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder as its user has it."""

    folder: Path
    """Where its files are."""
    programs: Path
    """Where its `node` is."""

    def copied(self, name: str) -> Project:
        """The same, compiled as it is, in a folder that nobody else writes to."""
        target = self.folder.with_name(f"{self.folder.name}-{name}")
        shutil.copytree(self.folder, target, symlinks=True)
        return Project(folder=target, programs=self.programs)

    def run(self, *command: str, **environment: str) -> str:
        """Run one of its commands; what it printed is shown when it fails."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The same for one that may fail."""
        packages = self.folder / "node_modules"
        # Foundry's own programs: the wrappers that npm links to end with 0 whatever these end with.
        own = [*packages.glob("@foundry-rs/*-*/bin"), packages / ".bin"]
        base = environment_with(self.programs)
        path = os.pathsep.join([*map(str, own), base["PATH"]])
        return subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PROGRAM_DEADLINE_S,
            check=False,
            env={**base, "PATH": path, "CI": "true", **environment},
        )


def opened(name: str, folder: Path) -> Project:
    """A copy of a project with its packages."""
    programs = node_22()
    packages = node_project(PROJECTS, programs) / "node_modules"
    target = folder / name
    shutil.copytree(PROJECTS / name, target)
    shutil.copytree(PROJECTS / "contracts", target / "contracts")
    shutil.copy(PROJECTS / "solc.mjs", target / "solc.mjs")
    (target / "node_modules").symlink_to(packages)
    return Project(folder=target, programs=programs)


@pytest.fixture(scope="module")
def hardhat(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of hardhat 3, compiled."""
    project = opened("hardhat", tmp_path_factory.mktemp("projects"))
    # As ignition wants it; it would compile once more otherwise.
    project.run("hardhat", "build", "--build-profile", "production")
    return project


@pytest.fixture(scope="module")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of foundry, compiled."""
    project = opened("foundry", tmp_path_factory.mktemp("projects"))
    project.run("forge", "build", "--use", "./solc.mjs")
    return project


def test_hardhat(hardhat: Project, devnet: Devnet) -> None:
    on_both_layers(devnet, partial(hardhat_uses, hardhat))


def hardhat_uses(hardhat: Project, layer: Layer) -> None:
    """Its tests, and beside them a deployment by ignition, which goes in steps, from an account of its own."""
    at = {f"{layer.name.upper()}_RPC_URL": layer.url, "HARDHAT_IGNITION_CONFIRM_DEPLOYMENT": "0"}
    deployer = account(ACCOUNT_OF_IGNITION).address

    def tested() -> str:
        project = hardhat.copied(f"{layer.name}-tested")
        return project.run(
            "hardhat", "test", "nodejs", "--no-compile", "--network", layer.name, **at
        )

    def deployed() -> str:
        project = hardhat.copied(f"{layer.name}-deployed")
        deploy = ("ignition", "deploy", "ignition/modules/Safebox.ts", "--default-sender", deployer)
        return project.run("hardhat", *deploy, "--network", layer.name, **at)

    with ThreadPoolExecutor(max_workers=2) as pool:
        tests, deployment = pool.submit(tested), pool.submit(deployed)
        assert "5 passing" in tests.result()
        assert "successfully deployed" in deployment.result()


def account(index: int) -> LocalAccount:
    """A funded account."""
    Account.enable_unaudited_hdwallet_features()
    found: LocalAccount = Account.from_mnemonic(JUNK, account_path=f"m/44'/60'/0'/0/{index}")
    return found


def foundry_key() -> str:
    """The key that foundry's project sends with."""
    return f"0x{account(ACCOUNT_OF_FOUNDRY).key.hex()}"


def test_forge_and_cast(foundry: Project, devnet: Devnet) -> None:
    on_both_layers(devnet, lambda layer: forge_uses(foundry.copied(layer.name), layer))


def forge_uses(foundry: Project, layer: Layer) -> None:
    """Tests on a fork, and a script; then cast on what it deployed."""
    secrets = {"PRIVATE_KEY": foundry_key(), "CHAIN_ID": str(layer.chain_id)}
    compiler = ("--use", "./solc.mjs")

    # Tests run on a fork of the chain
    tested = foundry.run("forge", "test", *compiler, "--fork-url", layer.url, **secrets)
    assert "4 passed; 0 failed" in tested

    # A script deploys and calls, five transactions at once
    script = ("forge", "script", *compiler, "script/Deploy.s.sol", "--broadcast")
    foundry.run(*script, "--rpc-url", layer.url, **secrets)
    record = foundry.folder / "broadcast/Deploy.s.sol" / str(layer.chain_id) / "run-latest.json"
    written = orjson.loads(record.read_bytes())
    assert [receipt["status"] for receipt in written["receipts"]] == ["0x1"] * 5
    safebox = written["transactions"][0]["contractAddress"]
    cast_uses(foundry, layer, safebox)


def cast_uses(foundry: Project, layer: Layer, safebox: str) -> None:
    """Everything that people do with cast, on a box that has one deposit given back."""
    url = ("--rpc-url", layer.url)
    key = ("--private-key", foundry_key())

    def cast(command: str, *arguments: str) -> str:
        return foundry.run("cast", command, *url, *arguments).strip()

    assert cast("chain-id") == str(layer.chain_id)
    assert cast("call", safebox, "count()(uint256)") == "1"
    assert cast("code", safebox).startswith("0x60")

    # Each type of transaction, told by its receipt
    keep = (safebox, "keep(string)", "by cast", "--value", "7")
    plain = ""
    for options, kind in ((["--legacy"], 0), (["--legacy", "--access-list"], 1), ([], 2)):
        receipt = orjson.loads(cast("send", *keep, *key, *options, "--json"))
        assert (receipt["status"], int(receipt["type"], 16)) == ("0x1", kind)
        plain = receipt["transactionHash"]
        assert cast("receipt", plain, "status") == "true"
    delegate = Account.create()
    authorization = foundry.run(
        "cast", "wallet", "sign-auth", *url, safebox, "--private-key", f"0x{delegate.key.hex()}"
    ).strip()
    receipt = orjson.loads(cast("send", *keep, *key, "--auth", authorization, "--json"))
    assert (receipt["status"], receipt["type"]) == ("0x1", "0x4")
    assert cast("code", delegate.address) == f"0xef0100{safebox[2:].lower()}"

    # Events, an error with its arguments, an estimate, a proof, a replay with its trace
    logs = orjson.loads(cast("logs", "--from-block", "1", "--address", safebox, KEPT, "--json"))
    assert len(logs) == 5
    refused = foundry.attempt(
        "cast", "send", *url, *key, safebox, "keep(string)", "too much", "--value", "2ether"
    )
    assert refused.returncode == 1
    assert "AboveLimit(2000000000000000000" in refused.stderr, refused.stderr
    rich = Account.from_key(foundry_key()).address
    assert int(cast("estimate", *keep, "--from", rich)) > 50_000
    proof = orjson.loads(cast("proof", safebox, "0"))
    assert int(proof["balance"], 16) == int(cast("balance", safebox)) == 4 * 7
    replayed = foundry.run("cast", "run", *url, plain)
    assert "emit Kept" in replayed, replayed
    block = orjson.loads(cast("rpc", "eth_getBlockByNumber", receipt["blockNumber"], "false"))
    assert block["hash"] == receipt["blockHash"]


@pytest.mark.parametrize("form", [(), ("--eip4844",)], ids=["osaka", "older"])
def test_cast_sends_blobs(
    foundry: Project, devnet: Devnet, tmp_path: Path, form: tuple[str, ...]
) -> None:
    """Given data in a file, when cast sends it as a blob, then a block of the L1 holds it and any validator gives it back."""
    told = b"kept for a while; " * 1_000
    file = tmp_path / "told"
    file.write_bytes(told)
    send = ("cast", "send", "--rpc-url", devnet.rpc_url(), "--private-key", foundry_key(), "--json")
    what = ("--blob", *form, "--path", str(file), "--blob-gas-price", "1gwei", "0x" + "42" * 20)
    receipt = orjson.loads(foundry.run(*send, *what))
    assert (receipt["status"], receipt["type"]) == ("0x1", "0x3")
    assert int(receipt["blobGasUsed"], 16) == 1 << 17
    assert int(receipt["blobGasPrice"], 16) >= 1
    sent = receipt["transactionHash"]

    def found() -> object:
        return devnet.rpc("eth_getBlobSidecarByTxHash", sent, validator=1)

    sidecar = wait_for("the blob on another validator", found)
    assert isinstance(sidecar, dict)
    [blob] = [bytes.fromhex(one[2:]) for one in sidecar["blobSidecar"]["blobs"]]
    # A field element holds 31 bytes: its first is zero.
    assert told in b"".join(blob[start + 1 : start + 32] for start in range(0, len(blob), 32))


def test_projects_of_libraries(foundry: Project, devnet: Devnet) -> None:
    """All at once, each with an account of its own: what they do most is to wait for slots."""
    artifact = str(foundry.folder / "out" / "Safebox.sol" / "Safebox.json")
    python = python_environment(WALLETS / "requirements-web3.lock")
    programs = {"web3.py": (str(python), str(WALLETS / "web3_project.py"))}
    for library in ("viem", "ethers"):
        script = foundry.folder / f"{library}.mjs"
        shutil.copy(PROJECTS / "scripts" / script.name, script)
        programs[library] = ("node", script.name)

    def use(layer: Layer) -> None:
        def run(library: str) -> object:
            arguments = (layer.url, str(layer.chain_id), artifact)
            return orjson.loads(foundry.run(*programs[library], *arguments))["types"]

        with ThreadPoolExecutor(max_workers=len(programs)) as pool:
            types = dict(zip(programs, pool.map(run, programs), strict=True))
        assert types["web3.py"] == [0, 1, 2, 4]
        assert types["ethers"] == [0, 1, 2, 4]
        assert types["viem"] == ["legacy", "eip2930", "eip1559", "eip7702"]

    on_both_layers(devnet, use)
