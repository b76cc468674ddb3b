"""A real Prometheus on a devnet, configured by the files that `faultline up` wrote."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.e2e.devnet import Devnet, wait_for

PROGRAM_VARIABLE = "PROMETHEUS"
"""Names a Prometheus that is not in PATH; its promtool lies beside it."""


def program(name: str = "prometheus") -> str | None:
    """Where Prometheus or promtool lies; None where there is none."""
    given = os.environ.get(PROGRAM_VARIABLE)
    return shutil.which(name, path=str(Path(given).parent) if given else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """One that runs."""

    url: str
    """Its address."""

    def values(self, expression: str) -> list[float]:
        """The numbers of an instant query, those that are none left out. Raises OSError."""
        answer = self._get("query", {"query": expression})
        assert isinstance(answer, dict)
        values = (float(one["value"][1]) for one in answer["result"])
        return [value for value in values if not math.isnan(value)]

    def firing(self) -> dict[str, set[str]]:
        """Alerts that fire, with the processes that they name."""
        answer = self._get("alerts")
        assert isinstance(answer, dict)
        found: dict[str, set[str]] = {}
        for alert in answer["alerts"]:
            if alert["state"] == "firing":
                labels = alert["labels"]
                found.setdefault(labels["alertname"], set()).add(labels.get("process", ""))
        return found

    def rule_errors(self) -> list[str]:
        """What is wrong with rules, as Prometheus evaluates them."""
        answer = self._get("rules")
        assert isinstance(answer, dict)
        rules = [rule for group in answer["groups"] for rule in group["rules"]]
        return [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] == "err"]

    def scraped(self) -> set[str]:
        """Processes whose last scrape went well."""
        answer = self._get("targets")
        assert isinstance(answer, dict)
        targets = answer["activeTargets"]
        return {one["labels"]["process"] for one in targets if one["health"] == "up"}

    def _get(self, what: str, parameters: dict[str, str] | None = None) -> object:
        asked = urllib.parse.urlencode(parameters or {})
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{asked}", timeout=30) as answer:
            decoded = orjson.loads(answer.read())
        assert decoded["status"] == "success", decoded
        data: object = decoded["data"]
        return data


@contextmanager
def running_prometheus(devnet: Devnet) -> Iterator[Prometheus]:
    """Start it as `faultline monitoring` says, and wait until it has scraped every process."""
    told = orjson.loads(devnet.faultline("monitoring", "--json").stdout)
    found = program()
    assert found is not None
    command = [found, *told["prometheus"][1:]]
    log = Path(told["folder"]) / "prometheus.log"
    prometheus = Prometheus(url=told["grafana"]["PROMETHEUS_URL"])
    processes = devnet.status()["processes"]
    assert isinstance(processes, list)

    def sees_all() -> bool:
        try:
            return len(prometheus.scraped()) == len(processes) and not prometheus.rule_errors()
        except OSError:
            return False

    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
        try:
            wait_for("Prometheus to scrape every process", sees_all)
            yield prometheus
        finally:
            process.terminate()
            process.wait(timeout=30)
