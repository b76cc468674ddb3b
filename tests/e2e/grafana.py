"""A real Grafana on a devnet, configured by the files and settings that `faultline monitoring` shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from deploy.monitoring.dashboards import DASHBOARDS
from tests.e2e.devnet import Devnet, wait_for

HOME_VARIABLE: Final = "GRAFANA"
"""Names the home of a Grafana whose `grafana` is not in PATH: the folder with bin, conf and public."""

PACKAGED: Final = Path("/usr/share/grafana")
"""Where packages and the container image have it."""

OF_OURS: Final = ("logger=provisioning", "logger=tsdb", "logger=query")
"""Starts of its log's lines about provisioning, the data source and queries."""


def home() -> Path | None:
    """Where Grafana lies; None where there is none."""
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given)
    found = shutil.which("grafana")
    places = [*Path(found).resolve().parents, PACKAGED] if found else []
    return next((place for place in places if (place / "conf/defaults.ini").is_file()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana:
    """One that runs."""

    url: str
    """Its address."""
    log: Path
    """What it says."""

    def get(self, path: str) -> object:
        """What it answers to somebody without an account. Raises OSError."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            decoded: object = orjson.loads(answer.read())
        return decoded

    def post(self, path: str, body: object) -> tuple[int, object]:
        """Status and answer of a question that carries one, of an error too."""
        asked = urllib.request.Request(
            f"{self.url}{path}", orjson.dumps(body), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, orjson.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, orjson.loads(refused.read())

    def complaints(self) -> list[str]:
        """Errors and warnings of its log about what it is given and what it is asked for.

        Its own housekeeping is left out, and what it could not write at once because the disk was busy.
        """
        return [
            line
            for line in self.log.read_text().splitlines()
            if line.startswith(OF_OURS)
            and any(level in line for level in ("level=error", "level=warn"))
            and "database is locked" not in line
        ]


@contextmanager
def running_grafana(devnet: Devnet) -> Iterator[Grafana]:
    """Start it as `faultline monitoring` says, and wait until it has read its dashboards."""
    told = orjson.loads(devnet.faultline("monitoring", "--json").stdout)
    found = home()
    assert found is not None
    settings = told["grafana"]
    log = Path(told["folder"]) / "grafana.log"
    program = shutil.which("grafana", path=str(found / "bin")) or shutil.which("grafana")
    assert program is not None, f"no bin/grafana in {found}"
    command = [program, "server", f"--homepath={found}"]
    address = f"{settings['GF_SERVER_HTTP_ADDR']}:{settings['GF_SERVER_HTTP_PORT']}"
    grafana = Grafana(url=f"http://{address}", log=log)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **settings}
        )

        def is_up() -> bool:
            assert process.poll() is None, log.read_text()[-4_000:]
            try:
                listed = grafana.get("/api/search?type=dash-db")
            except OSError:
                return False
            # It answers before it has read its dashboards.
            assert isinstance(listed, list)
            return {page.uid for page in DASHBOARDS} <= {one["uid"] for one in listed}

        try:
            wait_for("Grafana to show its dashboards", is_up)
            yield grafana
        finally:
            process.terminate()
            process.wait(timeout=60)
