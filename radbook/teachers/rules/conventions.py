"""Where a convention decides, not a fact: wordings that labelers read differently, and what the other reading would do.

`read_mentions` gives everything the rules find in a report, also what belongs to no category; `relabel` writes the labels
of the choice task from it, with one convention turned to its other reading if asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from radbook.core.findings import STRENGTH, Presence, finding, label_row, strongest
from radbook.core.ontology import FINDINGS, read_resource
from radbook.tasks import present_codes
from radbook.teachers.rules import find_mentions

__all__ = ["CONVENTIONS", "Convention", "decided", "read_mentions", "relabel", "wording_in"]


@dataclass(frozen=True)
class Convention:
    """One wording, how the rules read it, and how others do.

    `rule` is the beginning of the rule ids that read it; `category` is the one in question; `other` is the presence of
    that category in the other reading, None if the wording says nothing about it there.
    """

    wording: str
    rule: str
    category: str
    ours: str
    other: Presence | None
    who: str


CONVENTIONS = tuple(
    Convention(**row | {"other": Presence(row["other"]) if row["other"] else None})
    for row in read_resource("conventions.csv")
)


def read_mentions(reports: pd.DataFrame) -> dict[str, list[dict]]:
    """Return every mention the rules read, by report: id of the finding, presence, rule, start, end, phrase.

    >>> reports = pd.DataFrame({"report_id": ["r"], "text": ["Blunted costophrenic angle. No edema."]})
    >>> [(m["id"], str(m["presence"])) for m in read_mentions(reports)["r"]]
    [('blunted_angle', 'present'), ('pulmonary_edema', 'absent')]
    """
    return dict(zip(reports["report_id"], find_mentions(reports["text"]), strict=True))


def wording_in(mention: Mapping, convention: Convention) -> bool:
    """Say whether a mention is of this wording."""
    return mention["rule"].startswith(convention.rule)


def relabel(
    mentions: Mapping[str, list[dict]], convention: Convention | None = None, *, source: str = "rules"
) -> pd.DataFrame:
    """Write the labels of the choice task from mentions; with a convention, its wording is read the other way.

    A mention that is denied or doubted stays so: the other reading never makes a statement stronger than it is.

    >>> reports = pd.DataFrame({"report_id": ["r"], "text": ["Blunted costophrenic angle."]})
    >>> mentions = read_mentions(reports)
    >>> [[f["code"] for f in relabel(mentions, c)["findings"][0]] for c in (None, CONVENTIONS[0])]
    [[], ['Pleural Effusion']]
    """
    rows = []
    for report_id, found in mentions.items():
        stated = []
        for mention in found:
            category = FINDINGS[mention["id"]].category if mention["choice"] else ""
            presence = Presence(mention["presence"])
            if convention and wording_in(mention, convention):
                category = convention.category if convention.other else ""
                presence = min(presence, convention.other or presence, key=STRENGTH.get)
            if category:
                stated.append((category, finding(category, presence)))
        best = strongest(stated)
        rows.append(label_row(report_id, source, "choice", [best[category] for category in sorted(best)]))
    return pd.DataFrame(rows)


def decided(ours: pd.DataFrame, other: pd.DataFrame, category: str) -> list[str]:
    """Return the reports in which the two readings disagree on whether the category is present.

    Where a report says the same in plain words elsewhere, the convention decides nothing.

    >>> reports = pd.DataFrame({"report_id": ["r"], "text": ["Blunted costophrenic angle from a small effusion."]})
    >>> mentions = read_mentions(reports)
    >>> decided(relabel(mentions), relabel(mentions, CONVENTIONS[0]), "Pleural Effusion")
    []
    """
    first, second = (present_codes(table, task="choice") for table in (ours, other))
    return sorted(i for i, codes in first.items() if (category in codes) != (category in second[i]))
