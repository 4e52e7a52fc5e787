"""`python -m tools.pretrain`: make a base like the packaged one; after an interruption the same command goes on."""

import argparse
import sys

from radbook.core.errors import RadbookError
from radbook.student.environment import prepare_environment

prepare_environment(True)  # before anything loads torch

from tools.pretrain.data import SOURCES  # noqa: E402
from tools.pretrain.pretrain import pretrain  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Train what the command line says; exit status 2 and one line if it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m tools.pretrain", description=__doc__)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where to write the model")
    parser.add_argument("--data", choices=SOURCES, default="text", help="text alone, or the tasks with their correct replies")
    parser.add_argument("--steps", type=int, default=6000, help="steps to train; a thousand take about 20 minutes on one core")
    parser.add_argument("--seed", type=int, default=0, help="seed of the reports, the weights and the order")
    parser.add_argument("--openi", metavar="PATH", help="Open-i reports to score the finished base on")
    given = parser.parse_args(arguments)
    try:
        pretrain(
            given.out, source=SOURCES[given.data], steps=given.steps, seed=given.seed, eval_path=given.openi,
            progress=lambda line: print(line, flush=True),
        )  # fmt: skip
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {given.out}; its scores are in README.md there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
