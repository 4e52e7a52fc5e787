"""Turn human-coded MeSH terms of Open-i into curated labels, by the two tables in `resources/`."""

import re
from collections import Counter
from functools import cache

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES, FINDINGS, read_resource
from radbook.core.schema import LABELS

__all__ = ["curate"]


def curate(report_ids: list[str], mesh: list[str]) -> pd.DataFrame:
    """Turn human-coded MeSH terms into curated labels for both tasks.

    The 13 categories follow `resources/mesh13.csv`, the ICD-10-CM codes `resources/mesh_findings.csv`.
    "normal" means no finding; a report that nobody coded ("No Indexing" or no term) fails with the note "not indexed".

    Each cell of `mesh` holds headings with qualifiers, separated by ";": "Opacity/lung/base/left".
    The source of the table is "curated", and `rule` is the term that a finding comes from; its `attrs` count the headings
    of terms that stand for no finding of ours ("unmapped_terms") or for one that ICD-10-CM has no code for
    ("uncoded_terms").

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
            rows += [label_row(report_id, "curated", t, [], status="failed", note="not indexed") for t in ("choice", "open")]
            continue
        named: dict[str, str] = {}  # category or code -> the first term that names it
        for term in (t for t in terms if t.lower() != "normal"):
            heading, _, qualifiers = term.partition("/")
            categories = _matching("mesh13.csv", "category", heading, qualifiers)
            concepts = _matching("mesh_findings.csv", "finding", heading, qualifiers)
            code = FINDINGS[concepts[0]].icd10 if concepts else None
            for name in (*categories, *filter(None, [code])):
                named.setdefault(name, term)
            uncoded[heading] += bool(concepts) and not code
            unmapped[heading] += not concepts and not categories
        codes = [name for name in named if name not in CATEGORIES]
        for task, names in (("choice", [c for c in CATEGORIES if c in named]), ("open", codes)):
            rows.append(label_row(report_id, "curated", task, [finding(n, rule=named[n]) for n in names]))
    curated = pd.DataFrame(rows, columns=list(LABELS.columns))
    curated.attrs.update(unmapped_terms=+unmapped, uncoded_terms=+uncoded)
    return curated


_rules = cache(read_resource)


@cache
def _matching(resource: str, column: str, heading: str, qualifiers: str) -> list[str]:
    rows = (row for row in _rules(resource) if row["heading"] == heading)
    return [row[column] for row in rows if re.search(row["qualifiers"], qualifiers)]
