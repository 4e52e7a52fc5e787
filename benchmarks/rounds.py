"""Time two programs in turn: each labels in a process of its own and answers over a pipe, so that neither waits for the other.

Runs in radbook's environment and in medspaCy's, hence nothing but the standard library.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}

# An opened hyphen ("left-sided" reads "left sided") is how the lexicon is written.
_HYPHEN = re.compile(r"(?<=[A-Za-z])-(?=[A-Za-z0-9])")


def read_reports(path: str | Path) -> list[dict[str, str]]:
    """Read the reports both sides label: JSON lines with `report_id` and `text`."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def open_hyphens(text: str) -> str:
    """Write "left-sided" as "left sided".

    >>> open_hyphens("Left-sided line, T8-9")
    'Left sided line, T8-9'
    """
    return _HYPHEN.sub(" ", text)


def serve(ways: dict[str, Callable[[], object]]) -> None:
    """Answer each line of standard input, the name of a way to label, with its seconds and its answer.

    Only the call is timed: loading the lexicon and a first report happen before.
    """
    # Whatever a library prints must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        answer = ways[line.strip()]()
        seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps({**seconds, "answer": answer}), file=answers, flush=True)


class Ended(Exception):
    """A worker ended before it answered; the message holds the last line it wrote."""


class Worker:
    """A program that serves; a context manager, which ends it."""

    def __init__(self, *command: str | Path) -> None:
        # A file and not a pipe: nobody reads what goes there unless the program dies.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, **ONE_THREAD},
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def ask(self, way: str) -> dict:
        """Label all reports in one way."""
        try:
            print(way, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip().splitlines()
            raise Ended(f"{Path(self.process.args[1]).name} ended: {said[-1] if said else 'no word why'}")
        return json.loads(answer)


def in_turn(asked: Sequence[tuple[Worker, str]], *, rounds: int) -> list[dict]:
    """Ask everyone once a round, one after the other; the seconds are the median of the rounds."""
    answers = [[worker.ask(way) for worker, way in asked] for _ in range(rounds)]
    return [
        {"answer": of_one[0]["answer"]}
        | {k: statistics.median(a[k] for a in of_one) for k in ("cpu", "wall")}
        for of_one in zip(*answers, strict=True)
    ]
