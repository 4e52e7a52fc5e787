"""Label reports by keywords alone: the names of the findings and a dozen synonyms, wherever they stand.

It knows no negation and no doubt ("no effusion" is an effusion), so it is the floor that a labeler which reads must clear.
"""

import re
from functools import cache

import pandas as pd

from radbook.core.findings import finding, label_row
from radbook.core.ontology import FINDINGS, read_resource
from radbook.core.schema import LABELS, check, check_reports
from radbook.corpora.sections import body_spans, report_body
from radbook.tasks import CHOICE, OPEN

__all__ = ["KeywordTeacher"]


class KeywordTeacher:
    """Call a finding present wherever its name, or a synonym of `resources/keywords.csv`, stands in a report's body.

    Examples
    --------
    >>> reports = pd.DataFrame({"report_id": ["r1"], "text": ["FINDINGS: Scoliosis. No pleural effusion."]})
    >>> [[f["phrase"] for f in row] for row in KeywordTeacher().label(reports)["findings"]]
    [['pleural effusion'], ['Scoliosis', 'pleural effusion']]
    """

    source = "keywords"

    def label(self, reports: pd.DataFrame) -> pd.DataFrame:
        """Return a `labels` table: one row per report and task; an empty report has status "failed"."""
        check_reports(reports)
        rows = []
        for report_id, text in zip(reports["report_id"], reports["text"].fillna(""), strict=True):
            empty = {} if report_body(text) else {"status": "failed", "note": "empty report"}
            for task in (CHOICE, OPEN):
                rows.append(label_row(report_id, self.source, task.name, _found(text, task.attribute), **empty))
        return check(pd.DataFrame(rows, columns=list(LABELS.columns)), LABELS)


def _found(text: str, attribute: str) -> list[dict]:
    pattern, meant = _keywords()
    named: dict[str, dict] = {}
    for start, end in body_spans(text):
        for match in pattern.finditer(text, start, end):
            code = getattr(FINDINGS[meant[match[1].lower()]], attribute)
            if code and code not in named:
                named[code] = finding(code, phrase=match[0], start=match.start(), end=match.end(), rule="keyword")
    return list(named.values())


@cache
def _keywords() -> tuple[re.Pattern, dict[str, str]]:
    """What is searched for, a plural's "s" allowed, the longest first; and the finding that each keyword names."""
    meant = {f.name.lower(): f.id for f in FINDINGS.values()}
    meant |= {row["keyword"].lower(): row["finding"] for row in read_resource("keywords.csv")}
    alternatives = "|".join(re.escape(word) for word in sorted(meant, key=len, reverse=True))
    return re.compile(rf"(?<!\w)({alternatives})s?(?!\w)", re.IGNORECASE), meant
