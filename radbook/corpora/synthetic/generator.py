"""A seeded generator of chest radiograph reports whose findings are known.

Two hospitals are imitated.
"general" has the breadth of wording that the packaged base model is pre-trained on; "cohort" is one hospital with its own
layout, boilerplate and local wordings, which the general style also knows but uses less.
What is said, and how often, is data (`resources/grammar/*.yaml`); `patients` plans who has what, `realizer` and
`report_sections` put it into sentences, and this module makes reports and tables of it.
The labels follow the conventions of the human coding of the Open-I collection: what is called likely or consistent with
counts as present, what is only possible as uncertain, and sternotomy wires alone or a blunted angle alone as no finding.
"""

import re

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row, strongest
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import LABELS, REPORTS
from radbook.corpora.splits import assign_splits
from radbook.corpora.synthetic import report_sections
from radbook.corpora.synthetic.dice import Dice
from radbook.corpora.synthetic.grammar import Concept, Grammar, load_grammar
from radbook.corpora.synthetic.noise import respelled, soil, wrapped
from radbook.corpora.synthetic.patients import Seen, choose_denials, plan_visits
from radbook.corpora.synthetic.realizer import CLOSE, OPEN, Dictation
from radbook.corpora.synthetic.templates import write

__all__ = ["generate_reports"]

_MARK = re.compile("([\ue000-\uf8ff])")
_ARTICLE = re.compile("\x01([\ue000-\uf8ff]*)(\\w?)")
_INNER = re.compile("([.] [\ue000-\uf8ff]*)([a-z])")
_FIRST = re.compile("[a-zA-Z?]")

Evidence = tuple[Concept, str, str, int, int]  # concept, presence, phrase, start, end


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
        A table by the `REPORTS` contract (a patient has one to four reports, in order), and one by `LABELS` with two rows
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
        dice = Dice(f"{seed}/{style}/{patient}", grammar.chances)
        name = f"{style[0]}{seed}-{patient:06d}"
        for number, seen in enumerate(plan_visits(grammar, dice), start=1):
            *texts, evidence = _report(grammar, dice, seen)
            rows.append((f"{name}-{number}", name, *texts))
            labels += _labels(f"{name}-{number}", [twin for mark in evidence for twin in _twins(grammar, mark)])
        patient += 1
    reports = pd.DataFrame(rows[:n_reports], columns=list(REPORTS.columns)[:5])
    reports = reports.assign(split=assign_splits(reports["patient_id"], seed=seed), corpus="synthetic")
    curated = pd.DataFrame(labels[: 2 * n_reports], columns=list(LABELS.columns))
    return reports[list(REPORTS.columns)], curated


def _report(grammar: Grammar, dice: Dice, seen: list[Seen]) -> tuple[str, str, str, list[Evidence]]:
    """Write one report: its text, its two sections, and its evidence."""
    dictation = Dictation(grammar, dice)
    context = dictation.context
    layout, body, end = _statements(dictation, seen)
    by_organ = any("\x02" in s for s in end)
    run_on = dice.happens("run_on")
    addendum = end.pop() if len(end) > 1 and dice.happens("addendum") else ""
    context["F"] = _paragraph(body, dictation, run_on=run_on)
    numbered = len(end) > 1 and dice.happens("numbered") and not by_organ
    context["I"] = _numbered(end, dictation) if numbered else _paragraph(end, dictation)
    kept = list(dictation.marks)
    dictation.marks.clear()
    for name, slot in (("N", "indication"), ("C", "comparison"), ("E", "exam")):
        text = dictation.say(slot)
        context[name] = text[:1].upper() + text[1:] + ("." if name != "E" and dice.happens("header_stop") else "")
    context["F"], context["I"] = soil([context["F"], context["I"]], dice, grammar.masks)
    for name in ("british", "abbreviated"):
        if dice.happens(name):
            share = dice.chances["british_words"] if name == "british" else dice.share("abbreviated")
            for part in ("F", "I"):
                context[part] = respelled(context[part], grammar.spellings[name], dice.random, share)
    impression = context["I"]
    if addendum:
        addendum = _finish(addendum, dictation)
        context["I"] = f"{impression}\n\nADDENDUM: {addendum}"
        impression += f"\n{addendum}"
    text = write(grammar.slots[layout], dice.random, context)
    if dice.happens("wrapped"):
        text = wrapped(text, dice.number("width"), " " if dice.happens("indented") else "")
    plain, evidence = _settle(text, kept)
    return plain, _MARK.sub("", context["F"]), _MARK.sub("", impression), evidence


def _statements(dictation: Dictation, seen: list[Seen]) -> tuple[str, list[str], list[str]]:
    """The layout of a report, and the statements of its findings and of its impression."""
    dice = dictation.dice
    detail = dice.share("detail")
    denials = choose_denials(dictation.grammar, seen, dice, detail)
    layout = dice.name("layout") or "layout_both"
    only_impression = layout == "layout_impression"
    more = choose_denials(dictation.grammar, seen, dice, 0.0)
    in_passing = [group for group in more if dice.happens("denied_in_passing")]
    dictation.tails = [group[:3] for group in denials[2:] + in_passing]
    body, end = [], []
    if not only_impression or dice.happens("findings_in_impression"):
        body = report_sections.findings(dictation, seen, denials[:2], detail)
    if layout != "layout_findings":
        end = report_sections.impression(dictation, seen)
    if only_impression:
        body, end = [], body + end if dice.happens("findings_kept") or not body else body
    if not body and not end:
        (end if only_impression else body).append(dictation.say("impression_normal"))
    if dice.happens("communication"):
        (end or body).append(dictation.say("communication"))
    return layout, body, end


def _paragraph(statements: list[str], dictation: Dictation, *, run_on: bool = False) -> str:
    done = [_finish(s, dictation) for s in statements]
    if run_on and len(done) > 2 and "\n" not in "".join(done):
        at = int(dictation.dice.random() * (len(done) - 1))
        second = done[at + 1]
        done[at : at + 2] = [done[at].rstrip(". ") + ", " + second[:1].lower() + second[1:]]
    return " ".join(done).replace(" \n", "\n").lstrip("\n")


def _numbered(statements: list[str], dictation: Dictation) -> str:
    dice = dictation.dice
    joint = "\n" if dice.happens("number_lines") else " "
    first = "" if dice.happens("number_first_missing") else "1. "
    dot = "." if dice.happens("number_dot") else ")"
    finished = [_finish(s, dictation) for s in statements]
    return first + joint.join((f"{i}{dot} " if i > 1 else "") + s for i, s in enumerate(finished, 1))


def _finish(statement: str, dictation: Dictation) -> str:
    """Give a statement its articles, capital and full stop; the name of an organ before it goes on a new line."""
    if statement[:1] == "\x02":
        _, name, rest = statement.split("\x02", 2)
        return f"\n{name}: {_finish(rest, dictation)}"
    if "\x01" in statement:
        statement = _ARTICLE.sub(lambda m: ("an " if m[2] in "aeiou" else "a ") + m[1] + m[2], statement)
    statement = statement.replace("  ", " ")
    statement = _INNER.sub(lambda m: m[1] + m[2].upper(), statement)
    statement = _FIRST.sub(lambda m: m[0].upper(), statement, count=1)
    return statement + ("." if dictation.dice.happens("stop") else dictation.say("no_stop"))


def _settle(text: str, kept: list[tuple[Concept, str]]) -> tuple[str, list[Evidence]]:
    """Take the marks out of a text and give the evidence they enclosed."""
    plain, evidence, mark, start = "", [], -1, 0
    for piece in _MARK.split(text):
        if not _MARK.fullmatch(piece):
            plain += piece
        elif piece == CLOSE:
            evidence.append((*kept[mark], plain[start:], start, len(plain)))
        else:
            mark, start = ord(piece) - OPEN, len(plain)
    return plain, evidence


def _twins(grammar: Grammar, mark: Evidence) -> list[Evidence]:
    """Give a piece of evidence, once for each thing its wording says."""
    concept, phrase = mark[0], " ".join(mark[2].lower().split())
    for wording, names in grammar.twins.items():
        if wording in phrase and concept.id in names:
            return [(grammar.concepts[name], *mark[1:]) for name in names]
    return [mark]


def _labels(report_id: str, evidence: list[Evidence]) -> list[dict]:
    """Two rows of the `LABELS` table: for each code the strongest presence, with the evidence of its first mention."""
    orders = {"choice": lambda found: CATEGORIES.index(found["code"]), "open": lambda found: found["start"]}
    rows = []
    for task, attribute in (("choice", "category"), ("open", "icd10")):
        best = strongest(
            (code, finding(code, presence, phrase=phrase, start=start, end=end, rule=concept.id))
            for concept, presence, phrase, start, end in evidence
            if (code := getattr(concept.finding, attribute))
        )
        rows.append(label_row(report_id, "curated", task, sorted(best.values(), key=orders[task])))
    return rows
