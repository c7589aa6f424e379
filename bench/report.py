"""How results look: on the screen, and as Markdown."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.part import Goal, Grid, Result

QUICK = "A quick run: everything was gone through, and the figures mean nothing."


def show(console: Console, title: str, result: Result) -> None:
    """Print a part's tables and goals."""
    console.rule(title, align="left")
    console.print(result.method, style="dim")
    for grid in result.grids:
        console.print(_table(grid))
    for goal in result.goals:
        console.print(_verdict(goal), style="green" if goal.met else "yellow", markup=False)


def markdown(machine: list[tuple[str, str]], results: dict[str, Result], refused: dict[str, str], quick: bool, title: str = "Bench") -> str:
    """The whole report."""
    pieces = [f"# {title}", *([QUICK] if quick else []), pipes(Grid(("machine", ""), [*machine]))]
    goals = [(goal.what, goal.measured, goal.goal, word(goal)) for result in results.values() for goal in result.goals]
    if goals:
        pieces += ["## Goals", pipes(Grid(("", "measured", "goal", ""), goals))]
    for name, result in results.items():
        pieces += [f"## {name}", result.method, *map(pipes, result.grids)]
    for name, why in refused.items():
        pieces += [f"## {name}", f"No figures. {why}"]
    return "\n\n".join(pieces) + "\n"


def _table(grid: Grid) -> Table:
    table = Table()
    for number, column in enumerate(grid.columns):
        table.add_column(column, justify="right" if number else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table


def _verdict(goal: Goal) -> str:
    return f"{goal.what}: {goal.measured}; goal {goal.goal}: {word(goal)}"


def word(goal: Goal) -> str:
    """Whether a goal was met."""
    return "met" if goal.met else "NOT met"


def pipes(grid: Grid) -> str:
    """A table in Markdown."""
    ruler = ["---", *["---:"] * (len(grid.columns) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (grid.columns, ruler, *grid.rows))
