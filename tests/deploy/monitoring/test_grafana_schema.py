"""Dashboards hold against the types that Grafana publishes of its own.

By hand, because nothing else needs these packages: `npm install @grafana/schema@11.6.0 typescript@5` in some folder, then
`GRAFANA_SCHEMA=<folder> pytest tests/deploy/monitoring`. Skips without.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.panels import dashboard_json

FOLDER = os.environ.get("GRAFANA_SCHEMA", "")
"""Holds node_modules with @grafana/schema and typescript."""

PANELS = {"timeseries": "TimeSeries", "stat": "Stat", "bargauge": "BarGauge", "table": "Table"}
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


@pytest.mark.skipif(not FOLDER, reason="GRAFANA_SCHEMA names no folder with @grafana/schema")
def test_dashboards_have_the_types_that_grafana_publishes(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(Path(FOLDER).resolve() / "node_modules")
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
