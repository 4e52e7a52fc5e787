"""Rule teacher with more processes: reports per second by the clock, and how many times one process."""

import os
import time

from radbook.corpora import load_corpus
from radbook.teachers.rules import RuleTeacher


def measure(*, n_reports: int = 20_000, rounds: int = 2) -> list[tuple[str, float, str]]:
    """Label one synthetic corpus with 1, 2, 4, ... processes up to the cores, in turn; each keeps its best round.

    The best and not the median: other work on the machine can only add to the time by the clock.
    """
    reports, _ = load_corpus("synthetic", n_reports=n_reports, seed=1)
    RuleTeacher().label(reports.head(1))
    best = dict.fromkeys(process_counts(available_cores()), float("inf"))
    for _ in range(rounds):
        for n_process in best:
            start = time.perf_counter()
            RuleTeacher(n_process=n_process).label(reports)
            best[n_process] = min(best[n_process], time.perf_counter() - start)
    what = f"synthetic, {len(reports):,} reports"
    return [
        *(
            (f"rules, n_process={n}, {what}", len(reports) / seconds, "reports/s (clock)")
            for n, seconds in best.items()
        ),
        *(
            (f"rules, n_process={n} / n_process=1", best[1] / s, "times as fast")
            for n, s in best.items()
            if n > 1
        ),
    ]


def available_cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_counts(cores: int) -> list[int]:
    """Return 1, 2, 4, ... and the number of cores itself.

    >>> process_counts(6)
    [1, 2, 4, 6]
    """
    return sorted({*(2**k for k in range(cores.bit_length())), cores})
