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
import bench_rules

from radbook.errors import RadbookError

Figure = tuple[str, float, str]


def figures(*, openi: str | None = None, quick: bool = False) -> Iterator[list[Figure]]:
    """Yield the figures of one benchmark after the other; `quick` takes small sizes, to see that all of them run."""
    sizes = {"n_reports": 200, "n_bootstrap": 40, "n_loop": 2} if quick else {}
    yield bench_evaluation.measure(**sizes)
    yield bench_rules.measure("synthetic", n_reports=50 if quick else 1000)
    if openi:
        yield bench_rules.measure("openi", path=openi, n_reports=50 if quick else None)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status 2 and one line if a corpus cannot be read."""
    parser = argparse.ArgumentParser(description="Measure radbook on this machine.")
    parser.add_argument("--openi", metavar="PATH", help="Open-I reports to label as well")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {platform.machine()}")
    try:
        for part in figures(openi=options.openi, quick=options.quick):
            for what, figure, unit in part:
                print(f"{what:<70} {figure:>10,.2f} {unit}", flush=True)
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
