"""Puts the drawings into architecture.md: `python docs/drawing.py`. With a folder of other sources, `python docs/drawing.py FOLDER`, it
prints the drawing of theirs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from poselift.app.dataflow.streams import drawing

PAGE = Path(__file__).with_name("architecture.md")
ROOT = PAGE.parents[1]
PARTS = ("app", "workers", "models", "common")

Uses = dict[str, set[str]]
"""Folder -> the folders that it imports from."""


def page() -> str:
    """The page with today's drawings."""
    text = PAGE.read_text()
    for name, made in (("dataflow", drawing()), ("folders", folders(ROOT))):
        before, start, after = text.partition(f"<!-- drawing: {name}, by `python docs/drawing.py`; a test keeps it true -->\n```mermaid\n")
        text = before + start + made + after[after.index("\n```\n") :]
    return text


def folders(root: Path) -> str:
    """The folders of a tree of sources and the imports between them, as a Mermaid flow chart.

    Imports that a longer way of imports implies are left out. Folders that import each other, by whatever way, have thick arrows.
    """
    uses = imports(root)
    reach = {folder: _reached(uses, folder) for folder in uses}
    lines = ["flowchart TD", *(f'    {_id(folder)}["{folder}"]' for folder in sorted(uses) if not folder.startswith(("app/", "models/")))]
    for part in ("app", "models"):
        inside = sorted(folder for folder in uses if folder.startswith(f"{part}/"))
        lines += [f"    subgraph {part}", *(f"        {_id(folder)}[{folder[len(part) + 1 :]}]" for folder in inside), "    end"]
    for folder in sorted(uses):
        for used in sorted(uses[folder]):
            others = (other for other in uses[folder] if other != used and folder not in reach[other] and other not in reach[used])
            if not any(used in reach[other] for other in others):
                lines.append(f"    {_id(folder)} {'==>' if folder in reach[used] else '-->'} {_id(used)}")
    return "\n".join(lines)


def imports(root: Path) -> Uses:
    """What the files of each folder import from other folders, anywhere in them; a file beside the folders counts as one."""
    uses: Uses = {}
    for part in PARTS:
        base = root / part if (root / part).is_dir() else root / "poselift" / part
        for path in sorted(base.rglob("*.py")):
            module = ".".join((part, *path.relative_to(base).with_suffix("").parts))
            folder = _folder(module.replace(".__init__", ""))
            used = {_folder(name) for name in _imported(ast.parse(path.read_text()))} if folder else set()
            uses.setdefault(folder, set()).update(used - {folder, ""})
    uses.pop("", None)
    for folder in {used for found in uses.values() for used in found}:
        uses.setdefault(folder, set())
    return uses


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _folder(module: str) -> str:
    """The folder of a module of ours, such as `app/cli`; empty for others."""
    part, *below = module.removeprefix("poselift.").split(".")
    if part not in PARTS or not below:
        return "common" if part == "common" else ""
    if part == "workers":
        return "workers/sources" if below[0] == "sources" else "workers"
    return "common" if part == "common" else f"{part}/{below[0]}"


def _reached(uses: Uses, folder: str) -> set[str]:
    found: set[str] = set()
    ahead = [folder]
    while ahead:
        new = uses[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def _id(folder: str) -> str:
    return folder.replace("/", "_")


if __name__ == "__main__":
    if sys.argv[1:]:
        print(folders(Path(sys.argv[1])))
    else:
        PAGE.write_text(page())
