"""Run every benchmark and print one table: what was measured, the figure, its unit.

python benchmarks/run.py [--openi PATH] [--quick]
"""

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_evaluation
import bench_generation
import bench_icd10
import bench_medspacy
import bench_notes
import bench_processes
import bench_rules
import bench_scaling
import bench_training
from rounds import Ended

from radbook.core.errors import RadbookError

# What was measured, the figure and its unit; None where it could not be, and why in place of the unit.
Figure = tuple[str, float | None, str]


def figures(*, openi: str | None = None, quick: bool = False) -> Iterator[list[Figure]]:
    """Yield the figures of one benchmark after the other; `quick` takes small sizes, to see that all of them run."""
    sizes = {"n_reports": 200, "n_bootstrap": 40, "n_loop": 2} if quick else {}
    yield bench_evaluation.measure(**sizes)
    yield bench_rules.measure("synthetic", n_reports=50 if quick else 1000)
    yield bench_notes.measure(**({"n_bootstrap": 40} if quick else {}))
    yield bench_icd10.measure(rounds=1 if quick else 5)
    if openi:
        yield bench_rules.measure("openi", path=openi, n_reports=50 if quick else None)
    yield from _against_medspacy(openi, quick)
    yield bench_training.measure(**({"n_reports": 30, "rounds": 1} if quick else {}))
    yield bench_generation.measure(**({"n_reports": 4, "n_alone": 2, "rounds": 1} if quick else {}))
    yield bench_scaling.measure(**({"sizes": (30, 60), "steps": ("scores",)} if quick else {}))
    yield bench_processes.measure(**({"n_reports": 50, "rounds": 1} if quick else {}))


def _against_medspacy(openi: str | None, quick: bool) -> Iterator[list[Figure]]:
    why = "--quick installs nothing" if quick else ""
    if not quick and not bench_medspacy.is_installed():
        print(f"installing medspaCy into {bench_medspacy.VENV} (once)", flush=True)
        why = bench_medspacy.install()
    try:
        if not why:
            yield bench_medspacy.measure("synthetic", n_reports=1000)
        if openi and not why:
            # medspaCy takes too long for all of them.
            yield bench_medspacy.measure("openi", path=openi, n_reports=500)
    except Ended as error:
        why = str(error)
    if why:
        yield [("rules / medspaCy", None, why)]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status 2 and one line if a corpus cannot be read."""
    parser = argparse.ArgumentParser(description="Measure radbook on this machine.")
    parser.add_argument("--openi", metavar="PATH", help="Open-I reports to label as well")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    options = parser.parse_args(arguments)
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {bench_processes.available_cores()} cores"
    )
    try:
        for part in figures(openi=options.openi, quick=options.quick):
            for what, figure, unit in part:
                shown = "not measured:" if figure is None else f"{figure:>10,.2f}"
                print(f"{what:<70} {shown} {unit}", flush=True)
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
