"""The `radbook` command: thin wrappers that parse, call the library and print."""

import errno
import sys
from pathlib import Path

import click

from radbook.core.errors import ChapterError, RadbookError
from radbook.core.files import shown_path

__all__ = ["main", "radbook"]

# Errors of the machine that a user can mend: no room, no permission, a file system that is read-only.
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def _refuse_glued(context: click.Context, option: click.Option, pairs: tuple) -> tuple:
    """Refuse `-p NAME=VALUE`, which takes the next word for the value."""
    for name, _ in pairs:
        if "=" in name:
            raise click.BadParameter(f"write -p {name.replace('=', ' ', 1)}")
    return pairs


PROFILE = click.argument("profile", default="default")
PARAMETERS = click.option(
    *("-p", "parameters"), nargs=2, multiple=True, callback=_refuse_glued,
    metavar="NAME VALUE", help="Set a parameter of the chapters; may be repeated.",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def radbook() -> None:
    """Radbook: a notebook book about small language models that learn to read radiology reports."""


@radbook.command()
@PROFILE
@click.option("--run", "name", metavar="NAME", help="Name of the run; the profile's if left out.")
@PARAMETERS
@click.option("--only", type=int, metavar="N", help="Execute chapter N alone.")
@click.option("--force", is_flag=True, help="Execute also what is up to date.")
def run(profile: str, **options: object) -> None:
    """Execute the chapters that are out of date into runs/NAME.

    PROFILE is a name in notebooks/profiles, or the path of a YAML file.
    """
    from radbook.pipeline.runner import run_chapters
    from radbook.reporting.text import progress_lines

    done = run_chapters(profile, echo=click.echo, live=progress_lines(), **options)
    print(f"run {done.name} is up to date: {shown_path(done.path)}")


@radbook.command()
@click.argument("run", default="default")
def book(run: str) -> None:
    """Render the executed notebooks of one run, the one named RUN."""
    from radbook.book import build_book
    from radbook.reporting.text import progress_lines

    print(f"open {shown_path(build_book(run, echo=progress_lines()))}")


@radbook.command()
@click.argument("a")
@click.argument("b")
def compare(a: str, b: str) -> None:
    """Say what changed between two runs: what they were made from, and their scores.

    A and B are names of runs, or results/NAME for a published one; differences are B minus A.
    """
    from radbook.compare import as_markdown, compare_runs

    print(f"Run A is {a}, run B is {b}.\n\n{as_markdown(compare_runs(a, b))}")


@radbook.command()
@PROFILE
@click.option("--grid", multiple=True, metavar="KEY=V1,V2", help="Values of a parameter; repeated, every combination is run.")
@click.option("--curves", metavar="FILE", help="Several named grids in a YAML file, instead of --grid.")
@PARAMETERS
@click.option("--name", metavar="NAME", help="Name of the sweep, which its runs' begin with.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler; a cluster of this machine if left out.")
@click.option("--workers", type=int, metavar="N", help="Runs at a time on this machine.")
def sweep(profile: str, grid: tuple[str, ...], curves: str | None, name: str | None, **options: object) -> None:
    """Execute a grid of runs on a Dask cluster and write runs/NAME/sweep.csv.

    PROFILE is a name in notebooks/profiles, or the path of a YAML file.
    """
    if bool(grid) == bool(curves):
        raise RadbookError("a sweep needs its values: give --grid KEY=V1,V2, or --curves FILE (one of the two)")
    from radbook.pipeline.sweep import run_sweep
    from radbook.pipeline.sweep.grids import load_curves, parse_grid
    from radbook.reporting.text import progress_lines

    grids = load_curves(curves) if curves else {"grid": [parse_grid(grid)]}
    name = name or (Path(curves).stem if curves else None)
    done = run_sweep(profile, curves=grids, name=name, echo=click.echo, live=progress_lines(), **options)
    finished = done.table["run"].nunique() if len(done.table) else 0
    if done.failed:
        print(f"{len(done.failed)} of {finished + len(done.failed)} runs failed; the same command tries them again")
    print(f"{finished} runs in {shown_path(done.run.path / 'sweep.csv')}, {done.executed} of them executed now")
    sys.exit(1 if done.failed else 0)


@radbook.command()
def doctor() -> None:
    """Say what will work on this machine: versions, GPU, Unsloth, memory, disk, browser, licenses."""
    from radbook.doctor import examine

    lines, well = examine()
    print("\n".join(lines))
    sys.exit(0 if well else 1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what a user can mend ends as one line on stderr, without a traceback."""
    try:
        sys.exit(radbook.main(arguments, prog_name="radbook", standalone_mode=False) or 0)
    except RadbookError as error:
        print(f"radbook: {error}", file=sys.stderr)
        # A chapter that stopped is 1; a mistake found before anything ran is 2.
        sys.exit(1 if isinstance(error, ChapterError) else 2)
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        where = f" ({shown_path(error.filename)})" if error.filename else ""
        print(f"radbook: {error.strerror}{where}: free or open that place; the same command goes on from here", file=sys.stderr)
        sys.exit(2)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        print(f"radbook: {error.format_message()}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.Abort:
        print("radbook: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
