"""Label reports by rules: a lexicon and the words that deny, doubt or date, with the evidence for every label.

The unit of work is the sentence. Reports repeat themselves ("No pleural effusion."), so each distinct sentence is read once
per call and process, and its mentions are placed wherever it stands.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
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
from radbook.corpora.marks import unmarked
from radbook.corpora.sections import correction_spans, find_body
from radbook.tasks import TASKS
from radbook.teachers.rules.damage import MENDED, mend, odd_words, verdict
from radbook.teachers.rules.lexicon import Speller, load_lexicon
from radbook.teachers.rules.matcher import MentionFinder
from radbook.teachers.rules.negation import Judge
from radbook.teachers.rules.sentences import statements

__all__ = ["RuleTeacher", "find_mentions"]

# Texts of fewer characters than this in all (some 4,000 reports) are labeled as soon here as by more processes.
_WORTH_PROCESSES = 1_500_000

# A denial of some of a thing only.
_PARTIAL = re.compile(
    r"\b(?:new|other|additional|acute|large|larger|displaced|further|second|left|right|residual|longer|removed)\b",
    re.IGNORECASE,
)

# One mention of a sentence: start and end of the evidence in the sentence as matched, and the other fields of a mention.
Reading = tuple[int, int, dict[str, object]]
# What a sentence says: its mentions, how many words it has, those that are not known, and whether it was mended.
Sentence = tuple[list[Reading], int, list[str], bool]


@cache
def _engine() -> tuple[Tokenizer, MentionFinder, Judge]:
    nlp = spacy.blank("en")
    nlp.vocab.lex_attr_getters[NORM] = Speller()
    return nlp.tokenizer, MentionFinder(nlp), Judge(nlp)


def _read(sentence: str) -> Sentence:
    tokenizer, finder, judge = _engine()
    doc = tokenizer(sentence)
    words = [token.norm_ for token in doc]
    odd = odd_words(words)
    mended = mend(sentence, odd) if odd else None
    if mended:
        doc = tokenizer(mended[0])
        words = [token.norm_ for token in doc]
        odd = odd_words(words)
    mentions = finder.find(doc, words)
    readings = []
    for mention, presence, why in judge.judge(doc, words, mentions) if mentions else ():
        rule = load_lexicon().rules[mention.rule]
        evidence = doc[mention.first : mention.last]
        name = f"{rule.finding}/{rule.id}" + (f"|{why}" if why else "")
        about = {"id": rule.finding, "choice": rule.choice, "presence": presence, "rule": name}
        start, end = evidence.start_char, evidence.end_char
        readings.append((mended[1][start], mended[1][end - 1] + 1, about) if mended else (start, end, about))
    return readings, sum(map(str.isalpha, words)), odd, bool(mended)


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
        """Return a `labels` table with one row per report and task; a task whose codes the ontology lacks is left out.

        A report with nothing to label (no `body_spans`) gets status "failed" and the note
        "empty report".
        """
        check_reports(reports)
        texts = [text if isinstance(text, str) else "" for text in reports["text"]]
        whole = list(zip(reports["report_id"], texts, strict=True))
        alone = self.n_process == 1 or sum(map(len, texts)) < _WORTH_PROCESSES
        rows = _label_part(whole) if alone else self._in_parts(whole)
        return check(pd.DataFrame(rows, columns=list(LABELS.columns)), LABELS)

    def _in_parts(self, reports: list[tuple[str, str]]) -> list[dict]:
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
    return [mentions for mentions, _, _ in _read_all(texts)]


def _read_all(texts: Iterable[str]) -> Iterator[tuple[list[dict], str, str]]:
    """Yield the mentions of each text, with the status in which it was read and the note to it."""
    texts = [unmarked(text) for text in texts]
    bodies = [find_body(text) for text in texts]
    placed = [
        [s for start, end in spans for s in statements(text, start, end)]
        for text, (spans, _) in zip(texts, bodies, strict=True)
    ]
    distinct = dict.fromkeys(sentence for report in placed for _, sentence, _ in report)
    read = {sentence: _read(sentence) for sentence in distinct}
    readings = {sentence: found for sentence, (found, *_) in read.items()}
    for text, sentences, (spans, found_where) in zip(texts, placed, bodies, strict=True):
        mentions = _corrected(text, list(_found(text, sentences, readings)))
        if not spans:
            yield [], "failed", "empty report"
            continue
        said = [read[sentence] for _, sentence, _ in sentences]
        status, note = verdict(text, sum(n for _, n, _, _ in said), [word for _, _, odd, _ in said for word in odd])
        if status == "failed":
            mentions = []
        else:
            notes = [note, MENDED if any(mended for *_, mended in said) else "", found_where]
            note = "; ".join(filter(None, notes))
        yield mentions, "repaired" if note and status == "ok" else status, note


def _label_part(reports: list[tuple[str, str]]) -> list[dict]:
    rows = []
    # What the ontology, and so the lexicon, does not know of a finding is no task for rules.
    attributes = {name: task.attribute for name, task in TASKS.items() if task.attribute in Finding.__annotations__}
    for (report_id, _), (mentions, status, note) in zip(reports, _read_all(text for _, text in reports), strict=True):
        for task, attribute in attributes.items():
            findings = _findings(mentions, attribute)
            rows.append(label_row(report_id, RuleTeacher.source, task, findings, status=status, note=note))
    return rows


def _found(text: str, sentences: list, readings: Mapping[str, list[Reading]]) -> Iterator[dict]:
    for offset, sentence, origin in sentences:
        for start, end, mention in readings[sentence]:
            if origin is not None:
                start, end = origin[start], origin[end - 1] + 1
            start, end = offset + start, offset + end
            yield {**mention, "start": start, "end": end, "phrase": text[start:end]}


def _corrected(text: str, mentions: list[dict]) -> list[dict]:
    # "ADDENDUM: There is no pneumothorax." takes back the pneumothorax read before. A denial of one kind or place
    # ("no new effusion", "on the left") takes nothing back, and one device removed says nothing of the others.
    def group(mention: dict) -> str:
        category = FINDINGS[mention["id"]].category
        return mention["id"] if category in (None, "Support Devices") else category

    stated: dict[str, set[str]] = {}
    late = correction_spans(text)
    for m in mentions if late else ():
        if any(a <= m["start"] < b for a, b in late):
            before, after = text[max(0, m["start"] - 60) : m["start"]], text[m["end"] : m["end"] + 60]
            sentence = before.rpartition(".")[2] + after.partition(".")[0]
            partial = m["presence"] == Presence.ABSENT and _PARTIAL.search(sentence)
            stated.setdefault(group(m), set()).add("part" if partial else m["presence"])
    gone = {g for g, presences in stated.items() if presences == {Presence.ABSENT}}
    return [m for m in mentions if m["presence"] == Presence.ABSENT or group(m) not in gone]


def _findings(mentions: list[dict], attribute: str) -> list[dict]:
    best = strongest(
        (code, m)
        for m in mentions
        if (m["choice"] or attribute != "category") and (code := getattr(FINDINGS[m["id"]], attribute))
    )
    keys = ("presence", "phrase", "start", "end", "rule")
    found = [finding(code, **{key: m[key] for key in keys}) for code, m in best.items()]
    return sorted(found, key=lambda f: (f["start"], f["end"], f["code"]))
