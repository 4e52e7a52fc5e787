"""A seeded generator of chest radiograph reports whose findings are known.

Two hospitals are imitated.
"general" has the breadth of wording that the packaged base model is pre-trained on; "cohort" is one
hospital with its own
layout, boilerplate and local wordings, which the general style also knows but uses less.
What is said is data (`resources/grammar/*.yaml`); `patients` plans who has what, `dictation` and `paragraphs` put it
into sentences, and this module makes reports and tables of it.
The labels follow the conventions of the human coding of the Open-I collection: what is called likely or
consistent with
counts as present, what is only possible as uncertain, and sternotomy wires alone or a blunted angle alone
as no finding.
"""

import re
from collections.abc import Callable
from random import Random

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row, strongest
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import LABELS, REPORTS
from radbook.corpora.splits import assign_splits
from radbook.corpora.synthetic import report_sections as paragraphs
from radbook.corpora.synthetic.grammar import Concept, Grammar, load_grammar
from radbook.corpora.synthetic.noise import respelled, soil, wrapped
from radbook.corpora.synthetic.patients import choose_denials, plan_visits
from radbook.corpora.synthetic.realizer import CLOSE, OPEN, Dictation, Seen
from radbook.corpora.synthetic.templates import write

__all__ = ["generate_reports"]

_MARK = re.compile("([\ue000-\uf8ff])")
_CANONICAL = {c: i for i, c in enumerate(CATEGORIES)}


def generate_reports(n_reports: int, *, style: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Generate reports of chest radiographs with their curated labels.

    Parameters
    ----------
    n_reports
        Number of reports; a smaller number gives the first rows of a larger one.
    style
        "general" or "cohort".
    seed
        Any integer; the same seed, style and number give the same tables.

    Returns
    -------
    reports, curated
        A table by the `REPORTS` contract (a patient has one to four reports, in order), and one by
        `LABELS` with two rows
        per report: task "choice" (categories) and task "open" (ICD-10-CM codes).
        `rule` of a finding is the id of its concept in `radbook.core.ontology.FINDINGS`.

    Raises
    ------
    RadbookError
        For a negative number or an unknown style.

    Examples
    --------
    >>> reports, curated = generate_reports(3, style="general", seed=7)
    >>> len(reports), len(curated)
    (3, 6)
    >>> row = next(f for r in curated.findings for f in r)
    >>> text = reports.set_index("report_id").text[curated.report_id[0]]
    >>> all(text[f["start"]:f["end"]] == f["phrase"] for f in curated.findings[0])
    True
    """
    if n_reports < 0:
        raise RadbookError(f"n_reports is {n_reports}: give a number from 0")
    grammar = load_grammar(style)
    rows: list[tuple] = []
    labels: list[dict] = []
    patient = 0
    while len(rows) < n_reports:
        random = Random(f"{seed}/{style}/{patient}").random
        name = f"{style[0]}{seed}-{patient:06d}"
        for number, seen in enumerate(plan_visits(grammar, random)):
            report_id = f"{name}-{number + 1}"
            text, findings, impression, marks = _report(grammar, random, seen)
            rows.append((report_id, name, text, findings, impression))
            labels += _labels(report_id, [twin for mark in marks for twin in _twins(grammar, mark)])
        patient += 1
    reports = pd.DataFrame(rows[:n_reports], columns=list(REPORTS.columns)[:5])
    reports["split"] = assign_splits(reports["patient_id"], seed=seed).astype(object)
    reports["corpus"] = "synthetic"
    curated = pd.DataFrame(labels[: 2 * n_reports], columns=list(LABELS.columns))
    return reports[list(REPORTS.columns)], curated


def _report(grammar: Grammar, random: Callable[[], float], seen: list[Seen]) -> tuple[str, str, str, list]:
    """Write one report: its text, its two sections, and (concept, presence, phrase, start, end) of each
    evidence."""
    dictation = Dictation(grammar, random)
    settings = grammar.settings
    detail = 0.25 + 0.7 * random()
    groups = choose_denials(grammar, seen, random, detail)
    chance = random()
    form = "layout_impression" if chance < 0.12 else "layout_findings" if chance < 0.17 else "layout_both"
    spare = [g for g in choose_denials(grammar, seen, random, 0.0) if random() < 0.35]
    dictation.tails = [g[:3] for g in groups[2:] + spare]
    groups = groups[:2]
    body = paragraphs.findings(dictation, seen, groups, detail) if form != "layout_impression" or random() < 0.75 else []
    end = paragraphs.impression(dictation, seen) if form != "layout_findings" else []
    if form == "layout_impression":
        end = body + end if random() < 0.6 or not body else body
        body = []
    by_organ = any("\x02" in s for s in end)
    if not body and not end:
        (end if form == "layout_impression" else body).append(dictation.say("impression_normal"))
    if random() < 0.03:
        (end or body).append(dictation.say("communication"))
    run_on = random() < settings["run_on"]
    context = dictation.context
    later = end.pop() if len(end) > 1 and settings["addendum"] and random() < settings["addendum"] else ""
    context["F"] = _paragraph(body, random, run_on)
    context["I"] = (
        _numbered(end, random) if len(end) > 1 and random() < 0.45 and not by_organ else _paragraph(end, random, False)
    )
    dictation.marks, kept = [], dictation.marks
    for name, slot in (("N", "indication"), ("C", "comparison"), ("E", "exam")):
        text = dictation.say(slot)
        context[name] = text[:1].upper() + text[1:] + ("." if name != "E" and random() < 0.8 else "")
    context["F"], context["I"] = soil([context["F"], context["I"]], settings, random)
    for name in ("british", "abbreviated"):
        if settings[name] and random() < settings[name]:
            share = 0.85 if name == "british" else 0.3 + 0.6 * random()
            for part in ("F", "I"):
                context[part] = respelled(context[part], settings["spellings"][name], random, share)
    impression = context["I"]
    if later:
        later = paragraphs.finish(later, random)
        context["I"] = f"{impression}\n\nADDENDUM: {later}"
        impression += f"\n{later}"
    text = write(grammar.slots[form], random, context)
    if settings["wrapped"] and random() < settings["wrapped"]:
        text = wrapped(text, 66 + int(random() * 16), " " if random() < 0.2 else "")
    plain, marks = _settle(text, kept)
    return plain, _MARK.sub("", context["F"]), _MARK.sub("", impression), marks


def _paragraph(statements: list[str], random: Callable[[], float], run_on: bool) -> str:
    done = [paragraphs.finish(s, random) for s in statements]
    if run_on and len(done) > 2 and "\n" not in "".join(done):
        at = int(random() * (len(done) - 1))
        second = done[at + 1]
        done[at : at + 2] = [done[at].rstrip(". ") + ", " + second[:1].lower() + second[1:]]
    return " ".join(done).replace(" \n", "\n").lstrip("\n")


def _numbered(statements: list[str], random: Callable[[], float]) -> str:
    joint = "\n" if random() < 0.4 else " "
    first = "" if random() < 0.15 else "1. "
    dot = "." if random() < 0.9 else ")"
    finished = [paragraphs.finish(s, random) for s in statements]
    return first + joint.join((f"{i}{dot} " if i > 1 else "") + s for i, s in enumerate(finished, 1))


def _settle(text: str, kept: list[tuple[Concept, str]]) -> tuple[str, list]:
    """Take the marks out of a text and give the evidence they enclosed."""
    pieces = _MARK.split(text)
    plain, found, position, start, mark = [], [], 0, 0, -1
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            plain.append(piece)
            position += len(piece)
        elif piece != CLOSE:
            mark, start = ord(piece) - OPEN, position
        else:
            found.append((*kept[mark], start, position))
    whole = "".join(plain)
    return whole, [(c, presence, whole[a:b], a, b) for c, presence, a, b in found]


def _twins(grammar: Grammar, mark: tuple) -> list[tuple]:
    """Give a piece of evidence, once for each thing its wording says."""
    concept, phrase = mark[0], " ".join(mark[2].lower().split())
    for wording, names in grammar.settings["twins"].items():
        if wording in phrase and concept.id in names:
            return [(grammar.concepts[name], *mark[1:]) for name in names]
    return [mark]


def _labels(report_id: str, marks: list) -> list[dict]:
    """Two rows of the `LABELS` table: for each code the strongest presence, with the evidence of its first
    mention."""
    rows = []
    orders = {"choice": lambda found: _CANONICAL[found["code"]], "open": lambda found: found["start"]}
    for task, attribute in (("choice", "category"), ("open", "icd10")):
        best = strongest(
            (code, finding(code, m[1], phrase=m[2], start=m[3], end=m[4], rule=m[0].id))
            for m in marks
            if (code := getattr(m[0].finding, attribute))
        )
        rows.append(label_row(report_id, "curated", task, sorted(best.values(), key=orders[task])))
    return rows
