"""The page on the architecture shows the tables and the imports as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
DRAWING = runpy.run_path(str(DOCS / "drawing.py"))


def arrows(root: Path) -> list[str]:
    return [line.strip() for line in DRAWING["folders"](root).splitlines() if "--" in line or "==" in line]


def test_the_page_shows_the_drawings_of_today() -> None:
    text = (DOCS / "architecture.md").read_text()
    workers, folders, *_ = (part.split("```")[0] for part in text.split("```mermaid")[1:])
    assert "capture" in workers and "app_dataflow" in folders
    assert text == DRAWING["page"](), "type: python docs/drawing.py"


def test_folders_import_each_other_in_no_circle() -> None:
    assert [arrow for arrow in arrows(DOCS.parent) if "==>" in arrow] == []


def test_imports_become_arrows(tmp_path: Path) -> None:
    for name, text in {
        "app/cli/run.py": "def run():\n    from poselift.app.config import Config\n    import poselift.workers.sources.video\n",
        "app/config.py": "from poselift.common.errors import UserError\nimport json\n",
        "workers/lift.py": "from poselift.workers.sources import open_source\nfrom models import store\n",
        "workers/sources/video.py": "from poselift.app.config import Config\nfrom poselift.common import errors\n",
        "models/store.py": "import models.weights.fetch\n",
        "models/weights/fetch.py": "from models.store import path_of\n",
        "poselift/common/errors.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert arrows(tmp_path) == [
        "app_cli --> workers_sources",
        "app_config --> common",
        "models_store ==> models_weights",
        "models_weights ==> models_store",
        "workers --> models_store",
        "workers --> workers_sources",
        "workers_sources --> app_config",
    ]
