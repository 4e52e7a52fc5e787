"""Label reports by rules: a lexicon and the words that deny, doubt or date, with the evidence for every label.

The unit of work is the sentence. Reports repeat themselves ("No pleural effusion."), so each distinct sentence is read once
per call and process, and its mentions are placed wherever it stands.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import cache
from multiprocessing import get_context

import pandas as pd
import spacy
from spacy.attrs import NORM
from spacy.tokenizer import Tokenizer

from radbook.core.errors import RadbookError
from radbook.core.findings import Presence, finding, label_row, strongest
from radbook.core.ontology import FINDINGS, Finding
from radbook.core.schema import LABELS, check, check_reports
from radbook.corpora.sections import body_spans, correction_spans, is_empty
from radbook.tasks import TASKS
from radbook.teachers.rules.lexicon import Speller, load_lexicon
from radbook.teachers.rules.matcher import MentionFinder
from radbook.teachers.rules.negation import Judge
from radbook.teachers.rules.sentences import normalize, split_sentences

__all__ = ["RuleTeacher", "find_mentions"]

# Texts of fewer characters than this in all (some 4,000 reports) are labeled as soon here as by more processes.
_WORTH_PROCESSES = 1_500_000
# What the ontology, and so the lexicon, knows of a finding; a task that names others is none for rules.
_KNOWN = frozenset(field.name for field in fields(Finding))

# A denial of some of a thing only.
_PARTIAL = re.compile(
    r"\b(?:new|other|additional|acute|large|larger|displaced|further|second|left|right|residual|longer|removed)\b",
    re.IGNORECASE,
)

# One mention of a sentence: finding id, presence, rule id, start and end of the evidence in the sentence as matched.
Reading = tuple[str, str, str, int, int, bool]


@cache
def _engine() -> tuple[Tokenizer, MentionFinder, Judge]:
    nlp = spacy.blank("en")
    nlp.vocab.lex_attr_getters[NORM] = Speller()
    return nlp.tokenizer, MentionFinder(nlp), Judge(nlp)


def _read(sentence: str) -> list[Reading]:
    tokenizer, finder, judge = _engine()
    rules = load_lexicon().rules
    doc = tokenizer(sentence)
    words = [token.norm_ for token in doc]
    readings = []
    mentions = finder.find(doc, words)
    for mention, presence, why in judge.judge(doc, words, mentions) if mentions else ():
        rule = rules[mention.rule]
        evidence = doc[mention.first : mention.last]
        name = f"{rule.finding}/{rule.id}" + (f"|{why}" if why else "")
        readings.append((rule.finding, presence, name, evidence.start_char, evidence.end_char, rule.choice))
    return readings


class RuleTeacher:
    """Label findings by a lexicon of chest-report wording and rules of negation and doubt.

    Parameters
    ----------
    n_process
        Worker processes; 1 stays in this one.

    Examples
    --------
    >>> reports = pd.DataFrame({"report_id": ["r1"], "text": ["FINDINGS: Heart is mildly enlarged. No effusion."]})
    >>> labels = RuleTeacher().label(reports)
    >>> [(f["code"], f["presence"], f["phrase"]) for f in labels.findings[0]]
    [('Cardiomegaly', 'present', 'Heart is mildly enlarged'), ('Pleural Effusion', 'absent', 'effusion')]
    """

    source = "rules"

    def __init__(self, *, n_process: int = 1) -> None:
        if n_process < 1:
            raise RadbookError(f"n_process is {n_process}: give 1 or more")
        self.n_process = n_process

    def label(self, reports: pd.DataFrame) -> pd.DataFrame:
        """Return a `labels` table with two rows per report, one for each task.

        A report with nothing to label (`radbook.corpora.sections.is_empty`) gets status "failed" and the note
        "empty report".
        """
        check_reports(reports)
        texts = [text if isinstance(text, str) else "" for text in reports["text"]]
        rows = self._rows(list(zip(reports["report_id"], texts, strict=True)))
        return check(pd.DataFrame(rows, columns=list(LABELS.columns)), LABELS)

    def _rows(self, reports: list[tuple[str, str]]) -> list[dict]:
        if self.n_process == 1 or sum(len(text) for _, text in reports) < _WORTH_PROCESSES:
            return _label_part(reports)
        # Whole reports, not sentences: cutting and placing take as long as half the reading. A part that reads anew a
        # sentence of another part costs less than to cut everything here first.
        size = len(reports) // (4 * self.n_process) + 1
        parts = [reports[i : i + size] for i in range(0, len(reports), size)]
        # A fork shares the loaded pipeline; loading it anew takes a worker longer than reading 10,000 sentences.
        _engine()
        method = "fork" if sys.platform == "linux" else "spawn"
        with ProcessPoolExecutor(self.n_process, mp_context=get_context(method)) as pool:
            return [row for part in pool.map(_label_part, parts) for row in part]


def find_mentions(texts: Iterable[str]) -> list[list[dict]]:
    """Return every mention in each report: id of the finding, choice, presence, rule, start, end, phrase.

    >>> [(m["id"], str(m["presence"])) for m in find_mentions(["Blunted costophrenic angle. No edema."])[0]]
    [('blunted_angle', 'present'), ('pulmonary_edema', 'absent')]
    """
    texts = list(texts)
    placed = [[(a, *normalize(text[a:b])) for a, b in _sentences(text)] for text in texts]
    readings = {sentence: _read(sentence) for sentence in {s: None for report in placed for _, s, _ in report}}
    return [_place(text, sentences, readings) for text, sentences in zip(texts, placed, strict=True)]


def _label_part(reports: list[tuple[str, str]]) -> list[dict]:
    rows = []
    attributes = {task.name: task.attribute for task in TASKS.values() if task.attribute in _KNOWN}
    found = find_mentions(text for _, text in reports)
    for (report_id, text), mentions in zip(reports, found, strict=True):
        # What was found stands in the body of the report: there is one.
        if not mentions and is_empty(text):
            rows += [
                label_row(report_id, RuleTeacher.source, task, [], status="failed", note="empty report")
                for task in attributes
            ]
            continue
        for task, attribute in attributes.items():
            rows.append(label_row(report_id, RuleTeacher.source, task, _findings(mentions, attribute)))
    return rows


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for start, end in body_spans(text):
        yield from split_sentences(text, start, end)


def _place(text: str, sentences: list, readings: dict[str, list[Reading]]) -> list[dict]:
    mentions = list(_found(text, sentences, readings))
    late = correction_spans(text)
    return _corrected(text, mentions, late) if late else mentions


def _corrected(text: str, mentions: list[dict], late: list[tuple[int, int]]) -> list[dict]:
    # "ADDENDUM: There is no pneumothorax." takes back the pneumothorax read before. A denial of one kind or place
    # ("no new effusion", "on the left") takes nothing back, and one device removed says nothing of the others.
    def group(mention: dict) -> str:
        category = FINDINGS[mention["id"]].category
        return mention["id"] if category in ("", "Support Devices") else category

    said: dict[str, set[str]] = {}
    for m in mentions:
        if any(a <= m["start"] < b for a, b in late):
            before, after = text[max(0, m["start"] - 60) : m["start"]], text[m["end"] : m["end"] + 60]
            whole = before.rpartition(".")[2] + after.partition(".")[0]
            partial = m["presence"] == Presence.ABSENT and _PARTIAL.search(whole)
            said.setdefault(group(m), set()).add("part" if partial else m["presence"])
    gone = {g for g, presences in said.items() if presences == {Presence.ABSENT}}
    return [m for m in mentions if m["presence"] == Presence.ABSENT or group(m) not in gone]


def _found(text: str, sentences: list, readings: dict[str, list[Reading]]) -> Iterator[dict]:
    for offset, sentence, origin in sentences:
        for finding_id, presence, rule, start, end, choice in readings[sentence]:
            if origin is not None:
                start, end = origin[start], origin[end - 1] + 1
            start, end = offset + start, offset + end
            yield {
                "id": finding_id,
                "choice": choice,
                "presence": presence,
                "rule": rule,
                "start": start,
                "end": end,
                "phrase": text[start:end],
            }


def _findings(mentions: list[dict], attribute: str) -> list[dict]:
    best = strongest(
        (code, m)
        for m in mentions
        if (m["choice"] or attribute != "category") and (code := getattr(FINDINGS[m["id"]], attribute))
    )
    found = [
        finding(code, **{k: m[k] for k in ("presence", "phrase", "start", "end", "rule")})
        for code, m in best.items()
    ]
    return sorted(found, key=lambda f: (f["start"], f["end"], f["code"]))
