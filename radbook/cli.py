"""The `radbook` command: thin wrappers that parse, call the library and print."""

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from radbook.core.errors import ChapterError, RadbookError
from radbook.core.files import shown_path

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Profile = Annotated[str, typer.Argument(help="A name in notebooks/profiles, or the path of a YAML file.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="NAME VALUE", help="Set a parameter of the chapters; may be repeated."),
]


@app.callback()
def _radbook() -> None:
    """Radbook: a notebook book about small language models that learn to read radiology reports."""


@app.command()
def run(
    profile: Profile = "default",
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Name of the run; the profile's if left out.")
    ] = None,
    parameter: Parameters = None,
    only: Annotated[int | None, typer.Option(metavar="N", help="Execute chapter N alone.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Execute also what is up to date.")] = False,
) -> None:
    """Execute the chapters that are out of date into runs/NAME."""
    from radbook.pipeline.runner import run_chapters

    pairs = _pairs(parameter)
    screen = _Screen()
    try:
        done = run_chapters(
            profile, name=name, parameters=pairs, only=only, force=force, echo=screen.line, live=screen.live
        )
    finally:
        screen.clear()
    print(f"run {done.name} is up to date: {shown_path(done.path)}")


@app.command()
def book(run: Annotated[str, typer.Argument(help="Name of the run.")] = "default") -> None:
    """Render the executed notebooks of one run."""
    from radbook.book import build_book

    screen = _Screen()
    try:
        page = build_book(run, echo=screen.live)
    finally:
        screen.clear()
    print(f"open {shown_path(page)}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Name of a run, or results/NAME for a published one.")],
    b: Annotated[str, typer.Argument(help="The run to compare with it; differences are B minus A.")],
) -> None:
    """Say what changed between two runs: what they were made from, and their scores."""
    from radbook.book.changes_page import as_text
    from radbook.compare.differences import compare_runs

    print(as_text(compare_runs(a, b)))


@app.command()
def sweep(
    profile: Profile = "default",
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="KEY=V1,V2", help="Values of a parameter; repeated, every combination is run."),
    ] = None,
    curves: Annotated[
        str, typer.Option(metavar="FILE", help="Several named grids in a YAML file, instead of --grid.")
    ] = "",
    parameter: Parameters = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the sweep, which its runs' begin with.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler; a cluster of this machine if left out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Runs at a time on this machine.")] = None,
) -> None:
    """Execute a grid of runs on a Dask cluster and write runs/NAME/sweep.csv."""
    if bool(grid) == bool(curves):
        raise RadbookError("a sweep needs its values: give --grid KEY=V1,V2, or --curves FILE (one of the two)")
    from radbook.pipeline.sweep import run_sweep
    from radbook.pipeline.sweep.grids import load_curves, parse_grid

    screen = _Screen()
    try:
        done = run_sweep(
            profile,
            curves=load_curves(curves) if curves else {"grid": [parse_grid(grid)]},
            name=name or Path(curves).stem or None,
            parameters=_pairs(parameter),
            scheduler=scheduler,
            workers=workers,
            echo=screen.line,
            live=screen.live,
        )
    finally:
        screen.clear()
    finished = done.table["run"].nunique() if len(done.table) else 0
    if done.failed:
        print(f"{len(done.failed)} of {finished + len(done.failed)} runs failed; the same command tries them again")
    print(f"{finished} runs in {shown_path(done.run.path / 'sweep.csv')}, {done.executed} of them executed now")
    raise typer.Exit(1 if done.failed else 0)


@app.command()
def doctor() -> None:
    """Say what will work on this machine: versions, GPU, Unsloth, memory, disk, browser, licenses."""
    from radbook.doctor import examine

    lines, well = examine()
    print("\n".join(lines))
    raise typer.Exit(0 if well else 1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what a user can mend ends as one line on stderr, without a traceback."""
    try:
        app(_join_pairs(sys.argv[1:] if arguments is None else arguments))
    except RadbookError as error:
        print(f"radbook: {error}", file=sys.stderr)
        # A chapter that stopped is 1; a mistake found before anything ran is 2.
        sys.exit(1 if isinstance(error, ChapterError) else 2)
    except SystemExit as done:
        if done.code == 130:
            print("radbook: stopped; the same command goes on from here", file=sys.stderr)
        raise


def _join_pairs(arguments: list[str]) -> list[str]:
    """Turn `-p NAME VALUE` into `-p NAME=VALUE`, which an option with one value can hold; `-p NAME=VALUE` stays.

    >>> _join_pairs(["run", "-p", "epochs", "2", "--force", "-p", "seed=3"])
    ['run', '-p', 'epochs=2', '--force', '-p', 'seed=3']
    """
    joined, rest = [], list(arguments)
    while rest:
        word = rest.pop(0)
        joined.append(word)
        if word == "-p" and rest:
            name = rest.pop(0)
            if "=" not in name:
                if not rest:
                    raise RadbookError(f"-p {name}: the value is missing; write -p {name} VALUE")
                name = f"{name}={rest.pop(0)}"
            joined.append(name)
    return joined


def _pairs(parameters: list[str] | None) -> list[tuple[str, str]]:
    pairs = [p.partition("=") for p in parameters or []]
    for name, equals, _ in pairs:
        if not equals:
            raise RadbookError(f"-p{name}: the value is missing; write -p {name} VALUE")
    return [(name, value) for name, _, value in pairs]


class _Screen:
    """Lines that stay, and one below them that is rewritten; without a terminal, at most one of those per 20 s."""

    def __init__(self) -> None:
        self.terminal, self.shown, self.last = sys.stdout.isatty(), False, time.monotonic()

    def line(self, text: str) -> None:
        self.clear()
        print(text, flush=True)
        self.last = time.monotonic()

    def live(self, text: str) -> None:
        if self.terminal:
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[2K  {text[: width - 3]}", end="", flush=True)
            self.shown = True
        elif time.monotonic() - self.last >= 20:
            print(f"  {text}", flush=True)
            self.last = time.monotonic()

    def clear(self) -> None:
        if self.shown:
            print("\r\x1b[2K", end="", flush=True)
            self.shown = False
