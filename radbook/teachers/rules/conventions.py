"""Where a convention decides, not a fact: wordings that labelers read differently, and what the other reading would do."""

from collections.abc import Mapping

import pandas as pd

from radbook.core.findings import STRENGTH, Presence, finding, label_row, strongest
from radbook.core.ontology import FINDINGS, read_resource

__all__ = ["CONVENTIONS", "relabel"]


CONVENTIONS = read_resource("conventions.csv")
"""One row per wording: `rule` is the beginning of the rule ids that read it, `category` the one in question, `ours` and `other`
its presence in our reading and in the other one ("": the wording says nothing about it there), `who` reads it so."""


def relabel(
    mentions: Mapping[str, list[dict]], convention: Mapping[str, str] | None = None, *, source: str = "rules"
) -> pd.DataFrame:
    """Write the labels of the choice task from what `find_mentions` found in each report.

    With a convention, its wording is read the other way.
    A mention that is denied or doubted stays so: the other reading never makes a statement stronger than it is.

    >>> from radbook.teachers.rules import find_mentions
    >>> mentions = {"r": find_mentions(["Blunted costophrenic angle."])[0]}
    >>> [[f["code"] for f in relabel(mentions, c)["findings"][0]] for c in (None, CONVENTIONS[0])]
    [[], ['Pleural Effusion']]
    """
    rows = []
    for report_id, found in mentions.items():
        stated = []
        for mention in found:
            category = FINDINGS[mention["id"]].category if mention["choice"] else ""
            presence = Presence(mention["presence"])
            if convention and mention["rule"].startswith(convention["rule"]):
                category = convention["category"] if convention["other"] else ""
                presence = min(presence, convention["other"] or presence, key=STRENGTH.get)
            if category:
                stated.append((category, finding(category, presence)))
        best = strongest(stated)
        rows.append(label_row(report_id, source, "choice", [best[category] for category in sorted(best)]))
    return pd.DataFrame(rows)
