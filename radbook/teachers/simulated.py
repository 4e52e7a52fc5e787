"""A simulated teacher: curated labels corrupted until they agree with the truth to a stated micro-F1.

It stands in for a language model where none can be called, and it is a dial: how good must a teacher be?
It reads no report. Its errors are balanced (as many inventions as misses) and strike at random, which the errors of
real teachers do not; whatever is learned from it must say so.
"""

import hashlib
import math
from collections import Counter

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import Presence, finding, label_row
from radbook.core.schema import LABELS, check, check_reports
from radbook.corpora.sections import report_body
from radbook.tasks import TASKS, task_of

__all__ = ["SimulatedTeacher"]

_HEDGED = 0.3  # fraction of the misses that appear as "uncertain" instead of vanishing


class SimulatedTeacher:
    """Corrupt curated labels to a stated micro-F1 (policy "certain": uncertain counts as absent).

    Parameters
    ----------
    curated
        A `labels` table with the truth of every task. Rows with status "failed" stay failed.
    micro_f1
        Fraction in (0, 1], reached for each task over all of `curated` up to rounding; the open task counts
        ICD-10 categories (three characters), as its score does. A part of the reports scatters around it.
    seed
        Decides which labels are hit, by a hash with report id and label: the order of rows does not matter,
        and a report gets the same labels whichever others are asked for with it.

    Notes
    -----
    With P true labels, m misses and v inventions, F1 = 2(P - m) / (2(P - m) + m + v). Equal numbers of both
    give m = v = (1 - F1) P. Missed labels are drawn uniformly, and three in ten of them appear as "uncertain"
    instead of vanishing; an invention falls on a report that lacks the label, with a chance proportional to the
    prevalence of the label. Hedges and inventions say so in `rule`.

    Examples
    --------
    >>> codes = {"choice": "Edema", "open": "J81.1"}
    >>> truth = [label_row(str(i), "curated", t, [finding(codes[t])] * (i % 2)) for i in range(40) for t in TASKS]
    >>> reports = pd.DataFrame({"report_id": [str(i) for i in range(40)], "text": "A report."})
    >>> labels = SimulatedTeacher(pd.DataFrame(truth), micro_f1=0.9).label(reports)
    >>> labels["source"][0], len(labels)
    ('simulated:0.90', 80)
    >>> Counter(f["rule"] or "kept" for found in labels["findings"] for f in found)
    Counter({'kept': 36, 'simulated invention': 4, 'simulated hedge': 2})
    """

    def __init__(self, curated: pd.DataFrame, *, micro_f1: float = 0.93, seed: int = 0) -> None:
        if not 0 < micro_f1 <= 1:
            raise RadbookError(f"micro_f1 (teacher_f1) is {micro_f1}: give a fraction above 0 and at most 1")
        check(curated, LABELS)
        self.source = f"simulated:{micro_f1:.2f}"
        self._seed = seed
        self._rows: dict[tuple[str, str], tuple[list[dict], str, str]] = {}
        for task in TASKS:
            rows = curated[curated["task"] == task]
            twice = rows["report_id"].duplicated()
            if twice.any():
                report_id = rows["report_id"][twice].iloc[0]
                raise RadbookError(f"the curated labels hold report {report_id!r} twice for task {task}")
            usable = rows[rows["status"] != "failed"]
            truth = dict(zip(usable["report_id"], usable["findings"], strict=True))
            for report_id, findings in self._corrupt(truth, task, micro_f1).items():
                self._rows[report_id, task] = (findings, "ok", "")
            for row in rows[rows["status"] == "failed"].itertuples():
                self._rows[row.report_id, task] = ([], "failed", f"no curated label: {row.note}")

    def label(self, reports: pd.DataFrame) -> pd.DataFrame:
        """Return a `labels` table: one row per report and task; without a curated label it fails, with a note."""
        check_reports(reports)
        rows = []
        for report_id, text in zip(reports["report_id"], reports["text"], strict=True):
            empty = not report_body(text)
            nothing = ([], "failed", "empty report" if empty else "no curated label")
            for task in TASKS:
                findings, status, note = nothing if empty else self._rows.get((report_id, task), nothing)
                copies = [dict(f) for f in findings]
                rows.append(label_row(report_id, self.source, task, copies, status=status, note=note))
        return check(pd.DataFrame(rows, columns=list(LABELS.columns)), LABELS)

    def _corrupt(self, truth: dict[str, list[dict]], task: str, micro_f1: float) -> dict[str, list[dict]]:
        # What a score counts once per report: the category name, or the ICD-10 category of a code.
        unit_of = task_of(task).key()
        present, hedged = (
            {i: {unit_of(f["code"]) for f in found if f["presence"] == presence} for i, found in truth.items()}
            for presence in (Presence.PRESENT, Presence.UNCERTAIN)
        )
        positives = [(i, unit) for i, units in present.items() for unit in sorted(units)]
        prevalence = Counter(unit for _, unit in positives)
        free = [(i, unit) for i in truth for unit in sorted(prevalence) if unit not in present[i] | hedged[i]]
        n_invented = min(round((1 - micro_f1) * len(positives)), len(free))
        # Solved for the misses, so that the F1 also holds where too few places for inventions exist.
        n_missed = (2 * len(positives) - micro_f1 * (2 * len(positives) + n_invented)) / (2 - micro_f1)
        n_missed = min(max(round(n_missed), 0), len(positives))
        missed = self._first(positives, "miss", task, n_missed)
        n_hedges = round(_HEDGED * n_missed)
        fate = {cell: "hedge" if n < n_hedges else "miss" for n, cell in enumerate(missed)}
        invented = self._first(free, "invention", task, n_invented, weights=prevalence)
        # The present codes of each unit, repeated as often as they occur, in a fixed order.
        codes: dict[str, list[str]] = {}
        for code in sorted(f["code"] for found in truth.values() for f in found if f["presence"] == Presence.PRESENT):
            codes.setdefault(unit_of(code), []).append(code)
        changed = {
            i: [left for f in findings if (left := _after(f, fate.get((i, unit_of(f["code"])))))]
            for i, findings in truth.items()
        }
        for i, unit in invented:
            code = codes[unit][int(self._draw("code", task, i, unit) * len(codes[unit]))]
            kept = [f for f in changed[i] if f["code"] != code]  # an explicit "absent" gives way
            changed[i] = [*kept, finding(code, rule="simulated invention")]
        return changed

    def _first(
        self, cells: list[tuple[str, str]], what: str, task: str, n: int, weights: Counter | None = None
    ) -> list[tuple[str, str]]:
        """Draw `n` cells without replacement, by smallest exponential key (Efraimidis and Spirakis, 2006)."""

        def key(cell: tuple[str, str]) -> tuple:
            rate = weights[cell[1]] if weights else 1
            return -math.log(self._draw(what, task, *cell)) / rate, cell

        return sorted(cells, key=key)[:n]

    def _draw(self, *key: str) -> float:
        """Return a uniform number strictly inside (0, 1) that depends on the seed and the key alone."""
        text = "\n".join((str(self._seed), *key)).encode("utf-8", "surrogatepass")
        return (int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") + 0.5) / 2**48


def _after(entry: dict, fate: str | None) -> dict | None:
    """Return what is left of one finding: itself, a hedge, or nothing."""
    if fate is None or entry["presence"] != Presence.PRESENT:
        return entry
    hedged = {**entry, "presence": str(Presence.UNCERTAIN), "rule": "simulated hedge"}
    return hedged if fate == "hedge" else None
