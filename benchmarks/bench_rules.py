"""Rule teacher: reports per second and micro-F1, against a search for the names of the findings that knows no negation."""

import re
import time

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.ontology import FINDINGS
from radbook.corpora import load_corpus
from radbook.evaluation import score
from radbook.teachers.rules import RuleTeacher


def measure(
    corpus: str, *, path: str | None = None, n_reports: int | None = None
) -> list[tuple[str, float, str]]:
    """Label one corpus with both; the first report is labeled beforehand, so that loading the lexicon is not timed."""
    reports, curated = load_corpus(corpus, path=path, n_reports=n_reports, seed=1)
    teacher = RuleTeacher()
    teacher.label(reports.head(1))
    rates, f1 = {}, {}
    for name, label in (("rule teacher", teacher.label), ("name search", search_names)):
        start = time.perf_counter()
        labels = label(reports)
        rates[name] = len(reports) / (time.perf_counter() - start)
        scores = score(curated, labels, task="choice", reports=reports, n_bootstrap=40)
        f1[name] = scores.set_index(["label", "metric"])["value"]["micro", "f1"]
    what = f"{corpus}, {len(reports):,} reports"
    return [
        *((f"{name}, {what}", rate, "reports/s") for name, rate in rates.items()),
        ("rule teacher against name search", rates["rule teacher"] / rates["name search"], "times as fast"),
        *((f"{name}, {what}", value, "micro-F1") for name, value in f1.items()),
    ]


def search_names(reports: pd.DataFrame) -> pd.DataFrame:
    """The baseline: a category is present wherever the name of one of its findings stands, negated or not."""
    category_of = {f.name.lower(): f.category for f in FINDINGS.values() if f.category}
    pattern = re.compile("|".join(sorted(map(re.escape, category_of), key=len, reverse=True)))
    rows = []
    for report, text in zip(reports["report_id"], reports["text"], strict=True):
        named = {category_of[name] for name in pattern.findall(text.lower())}
        rows.append(label_row(report, "name search", "choice", [finding(code) for code in sorted(named)]))
    return pd.DataFrame(rows)
