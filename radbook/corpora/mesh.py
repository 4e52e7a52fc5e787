"""Turn human-coded MeSH terms of Open-i into curated labels, by the two tables in `resources/`."""

import re
from collections import Counter
from functools import cache

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES, FINDINGS, read_resource
from radbook.core.schema import LABELS

__all__ = ["NOT_INDEXED", "curate"]

NOT_INDEXED = "not indexed"


def curate(report_ids: list[str], mesh: list[str]) -> pd.DataFrame:
    """Turn human-coded MeSH terms into curated labels for both tasks.

    The 13 categories follow `resources/mesh13.csv`, the ICD-10-CM codes `resources/mesh_findings.csv`.
    "normal" means no finding; a report that nobody coded ("No Indexing" or no term) fails with the note "not indexed".

    Parameters
    ----------
    report_ids
        One id per report.
    mesh
        The terms of each report, separated by ";", each a heading with qualifiers: "Opacity/lung/base/left".

    Returns
    -------
    pandas.DataFrame
        A `labels` table with source "curated"; `rule` is the term that a finding comes from.
        `attrs["unmapped_terms"]` counts the headings of terms that stand for no finding of ours, and
        `attrs["uncoded_terms"]` those of findings that ICD-10-CM has no code for.

    Examples
    --------
    >>> table = curate(["CXR1"], ["Cardiomegaly/mild;Aorta/tortuous;Nipple Shadow"])
    >>> [[f["code"] for f in row] for row in table["findings"]]
    [['Cardiomegaly'], ['I51.7', 'I77.1']]
    >>> table.attrs["unmapped_terms"]
    Counter({'Nipple Shadow': 1})
    """
    unmapped: Counter[str] = Counter()
    uncoded: Counter[str] = Counter()
    rows = []
    for report_id, cell in zip(report_ids, mesh, strict=True):
        terms = [t.strip() for t in cell.split(";") if t.strip()]
        if not terms or any(t.lower() == "no indexing" for t in terms):
            rows += [
                label_row(report_id, "curated", task, [], status="failed", note=NOT_INDEXED)
                for task in ("choice", "open")
            ]
            continue
        terms = [t for t in terms if t.lower() != "normal"]
        choice: dict[str, str] = {}
        codes: dict[str, str] = {}
        for term in terms:
            categories, concept = _categories(term), _concept(term)
            heading = term.partition("/")[0]
            for category in categories:
                choice.setdefault(category, term)
            if concept and FINDINGS[concept].icd10:
                codes.setdefault(FINDINGS[concept].icd10, term)
            elif concept:
                uncoded[heading] += 1
            elif not categories:
                unmapped[heading] += 1
        found = [finding(c, rule=choice[c]) for c in CATEGORIES if c in choice]
        rows.append(label_row(report_id, "curated", "choice", found))
        rows.append(label_row(report_id, "curated", "open", [finding(c, rule=t) for c, t in codes.items()]))
    curated = pd.DataFrame(rows, columns=list(LABELS.columns))
    curated.attrs.update(unmapped_terms=unmapped, uncoded_terms=uncoded)
    return curated


@cache
def _rules(resource: str, column: str) -> dict[str, list[tuple[re.Pattern, str]]]:
    rules: dict[str, list[tuple[re.Pattern, str]]] = {}
    for row in read_resource(resource):
        rules.setdefault(row["heading"], []).append((re.compile(row["qualifiers"]), row[column]))
    return rules


@cache
def _categories(term: str) -> tuple[str, ...]:
    heading, _, rest = term.partition("/")
    return tuple(c for pattern, c in _rules("mesh13.csv", "category").get(heading, ()) if pattern.search(rest))


@cache
def _concept(term: str) -> str | None:
    heading, _, rest = term.partition("/")
    rules = _rules("mesh_findings.csv", "finding").get(heading, ())
    return next((concept for pattern, concept in rules if pattern.search(rest)), None)
