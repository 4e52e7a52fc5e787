"""Labels nobody checked: the terms that an indexing program of the U.S. National Library of Medicine gave to Open-i's records.

The library's Medical Text Indexer reads a record and proposes MeSH terms (Mork, Aronson and Demner-Fushman, Journal of
Biomedical Semantics 2017, doi:10.1186/s13326-017-0113-5); in Open-i they stand beside the codes of people, as
`MeSH/automatic`.
The 13 categories follow `resources/indexer13.csv`, codes of ICD-10-CM the gate of `radbook.icd10`.
"""

import re
from functools import cache
from pathlib import Path

import pandas as pd

from radbook.core.findings import label_row
from radbook.core.ontology import read_resource
from radbook.core.schema import LABELS, check, check_reports
from radbook.corpora.openi import automatic_terms, packaged_archive
from radbook.corpora.sections import report_body
from radbook.icd10 import map_phrase
from radbook.tasks import CHOICE, OPEN
from radbook.tasks.grounding import locate

__all__ = ["IndexerTeacher"]


class IndexerTeacher:
    """Label Open-i's reports by their automatic terms.

    A term says that a finding is present; a record without terms has none.
    Where the words of a term stand in the report they are the evidence; `rule` is the term.

    Parameters
    ----------
    path
        The archive or a folder of its XML files; None takes the archive of the installed package torchxrayvision.

    Examples
    --------
    >>> reports = pd.DataFrame({"report_id": ["CXR4"], "text": ["FINDINGS: Emphysema."]})
    >>> labels = IndexerTeacher().label(reports)
    >>> labels["task"].tolist(), labels["status"].tolist()
    (['choice', 'open'], ['ok', 'ok'])
    """

    source = "indexer"

    def __init__(self, path: str | Path | None = None) -> None:
        self._terms = automatic_terms(path or packaged_archive())

    def label(self, reports: pd.DataFrame) -> pd.DataFrame:
        """Return a `labels` table: one row per report and task; an empty or unknown report has status "failed"."""
        check_reports(reports)
        rows = []
        for report_id, text in zip(reports["report_id"], reports["text"].fillna(""), strict=True):
            known, empty = report_id in self._terms, not report_body(text)
            note = "empty report" if empty else "" if known else "no record of Open-i"
            terms = [] if note else self._terms[report_id]
            for task, names in ((CHOICE.name, _categories), (OPEN.name, _codes)):
                found: dict[str, dict] = {}
                for term in terms:
                    for name in names(term):
                        found.setdefault(name, locate(name, term, text) | {"rule": term})
                status = "failed" if note else "ok"
                rows.append(label_row(report_id, self.source, task, list(found.values()), status=status, note=note))
        return check(pd.DataFrame(rows, columns=list(LABELS.columns)), LABELS)


@cache
def _categories(term: str) -> list[str]:
    rows = read_resource("indexer13.csv")
    return [row["category"] for row in rows if re.search(row["pattern"], term.lower())]


@cache
def _codes(term: str) -> list[str]:
    return [code] if (code := map_phrase(term)) else []
