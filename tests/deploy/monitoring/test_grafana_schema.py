"""Dashboards hold against the types that Grafana publishes of its own.

Of the version in docker-compose.yml, from the lock file beside this; skips where npm is not installed or no registry answers it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.panels import dashboard_json
from tests.e2e.environments import node_project

LOCKED = Path(__file__).parent / "grafana"
"""Names the packages that hold the types, and the compiler."""

PANELS = {"timeseries": "TimeSeries", "stat": "Stat", "bargauge": "BarGauge"}
"""Kind of panel -> the name of its options' types."""

LOOSE = """
// JSON has words where the types have enums; everything else must be as it is.
type Loose<T> = T extends string ? `${T}` | T
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Loose<U>[]
  : T extends object ? { [K in keyof T]: Loose<T[K]> }
  : T;
"""

SETTINGS = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "skipLibCheck": True,
        "types": [],
    },
    "files": ["check.ts"],
}


def checked(rendered: dict[str, object], number: int) -> list[str]:
    """A dashboard as constants that TypeScript holds against types."""
    annotations = rendered["annotations"]
    assert isinstance(annotations, dict)
    for own in ("expr", "titleFormat", "textFormat", "step"):
        annotations["list"][0].pop(own)  # The Prometheus plugin's own; the types know the frame.
    lines = [f"export const page{number} = {json.dumps(rendered)} satisfies Loose<Dashboard>;"]
    panels = rendered["panels"]
    assert isinstance(panels, list)
    for panel in panels:
        name = f"{number}_{panel['id']}"
        options = f"Loose<{panel['type']}.Options>"
        lines.append(
            f"export const options{name} = {json.dumps(panel['options'])} satisfies {options};"
        )
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        lines.append(
            f"export const custom{name} = {json.dumps(custom)} satisfies Loose<GraphFieldConfig>;"
        )
    return lines


def packages() -> Path:
    """The folder with the packages installed; skips where there is no registry to have them from."""
    try:
        return node_project(LOCKED)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        ping = ["npm", "ping", "--fetch-retries=0", "--fetch-timeout=20000"]
        asked = subprocess.run(ping, cwd=LOCKED, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            raise
        pytest.skip(f"no npm registry answers, so Grafana's types cannot be had: {asked.stderr}")


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # an install may take 900 s; three devnets may run beside the compiler
def test_dashboards_have_the_types_that_grafana_publishes(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(packages() / "node_modules")
    types = "./node_modules/@grafana/schema/dist/esm"
    lines = [
        f'import type {{ Dashboard }} from "{types}/raw/dashboard/x/dashboard_types.gen";',
        f'import type {{ GraphFieldConfig }} from "{types}/common/common.gen";',
        *(
            f'import type * as {kind} from "{types}/raw/composable/{kind}/panelcfg/x/{name}PanelCfg_types.gen";'
            for kind, name in PANELS.items()
        ),
        LOOSE,
    ]
    for number, page in enumerate(DASHBOARDS):
        lines += checked(json.loads(dashboard_json(page, DASHBOARDS)), number)
    (tmp_path / "check.ts").write_text("\n".join(lines))
    (tmp_path / "tsconfig.json").write_text(json.dumps(SETTINGS))
    compiler = ["node", "node_modules/typescript/bin/tsc", "-p", "."]
    done = subprocess.run(compiler, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:4_000]


def test_the_types_are_of_the_version_that_compose_runs() -> None:
    locked = json.loads((LOCKED / "package.json").read_text())["dependencies"]["@grafana/schema"]
    composed = (Path(__file__).parents[3] / "docker-compose.yml").read_text()
    assert f"grafana/grafana:${{GRAFANA_TAG:-{locked}}}" in composed
