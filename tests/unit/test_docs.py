"""What README and docs show is there: their links, and the commands with their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from poselift.app.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "models/weights/lifter.md"]
COMMANDS = typer.main.get_command(cli)


def anchors(page: Path) -> set[str]:
    """What a link may name in a page, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shown(text: str) -> Iterator[list[str]]:
    """The words of each command after `poselift`, from blocks of code and from sentences."""
    blocks, sentences = re.findall(r"```.*?```", text, flags=re.DOTALL), re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for block in blocks:
        yield from (line.split() for line in re.findall(r"^ *(?:\w+\$ +)?poselift +([^#|\n]*)", block, flags=re.MULTILINE))
    yield from (line.split() for line in re.findall(r"`poselift +([^`\n]*)`", sentences))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_there(page: Path) -> None:
    for words in shown(page.read_text()):
        command: Any = COMMANDS
        rest = ["--help"] if words == ["COMMAND", "--help"] else list(words)
        while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"poselift {' '.join(words)}"
            command = command.commands[rest.pop(0)]
        known = {"--help", *(option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts])}
        assert {word for word in rest if word.startswith("-")} <= known, f"poselift {' '.join(words)}"


def test_some_commands_are_shown() -> None:
    assert len(list(shown((ROOT / "docs/usage.md").read_text()))) > 20
