"""The two tasks as text: the prompt a model reads, the reply it should write, and a parser for what it did write.

`CHOICE` asks which of the 13 categories a report states; `OPEN` asks for every finding with its ICD-10-CM code.
Both replies start with a one-line list in square brackets, so one parser serves both; a third task is one more
`Task`.
`Task.parse` accepts any string: it returns what it could read, says how sure it was (ok, repaired, failed) and
notes every item it changed or left out.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from rapidfuzz import fuzz, process

from radbook.corpora.sections import body_spans
from radbook.errors import RadbookError
from radbook.icd10 import descriptor, is_leaf, map_phrase, normalize_code
from radbook.ontology import CATEGORIES, FINDINGS, NORMAL
from radbook.schema import Presence, finding

__all__ = ["CHOICE", "OPEN", "STYLES", "TASKS", "Task", "locate", "worked_examples"]

STYLES = ("short", "full")
NEAR_MISS = 85  # least rapidfuzz ratio (0-100) at which a misspelled category name is repaired
MAX_WORDS = 8  # evidence longer than this is no "shortest phrase": the standard name is written instead
_EMPTY_WORDS = frozenset({"", "normal", "none", "no findings", "no finding", "nothing"})
_NEGATED = re.compile(r"^(no|not|without|negative for)\b", re.I)
_HEDGED = re.compile(r"^(possible|possibly|probable|probably|likely|suspected|questionable)\s+|\s*\?+$", re.I)
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_ITEM_BREAK = re.compile(r"[,;\n](?![^()\n]*\))")  # not inside parentheses
_CODE = r"[A-Za-z]\s*\d\s*[0-9A-Za-z](?:\s*\.?\s*[0-9A-Za-z]){0,4}"
_CODED = re.compile(
    rf"(?:^|(?P<phrase>.*?)(?:\s*\(|\s*[:=]\s*|\s+[-\u2013]\s+))\s*(?P<code>{_CODE})\s*\)?", re.S
)
_EDGES = " \t\"'`*.:-\u2022\u2013"  # quotes, bullets and stops around an item
_EVIDENCE = re.compile(r"^[\s\-*\u2022]*(?P<name>[^:\n]{3,40}?)\s*:\s*(?P<quote>\S.*)$")

# What reading one item gives: the code (None if nothing known is named), its phrase, a remark if it was repaired.
Item = tuple[str | None, str | None, str]


@dataclass(frozen=True)
class Task:
    """One thing to ask of a report.

    Attributes
    ----------
    name
        The task word: it opens the short prompt and fills the `task` column of every table.
    empty
        The word between the brackets when nothing is found.
    order
        Key by which `render` sorts the present findings.
    write
        Turns one finding into one list item.
    read
        Turns one list item into (code, phrase, remark); told `strict` where the item stood outside brackets.
    quotes
        Whether the full style adds one line of evidence per finding below the list.
    """

    name: str
    empty: str
    order: Callable[[dict], tuple]
    write: Callable[[dict], str]
    read: Callable[[str, bool], Item]
    quotes: bool

    def instruction(self, form: str = "list") -> str:
        """Return what to do, in words: `form` says whether the answer is a bracketed list or a JSON object.

        >>> OPEN.instruction().splitlines()[0] == OPEN.instruction("json").splitlines()[0]
        True
        """
        return _instruction(self.name if form == "list" else f"{self.name}_{form}")

    def prefix(self, style: str = "short") -> str:
        """Return the constant text before the report, which generation may prefill once for all reports.

        >>> CHOICE.prefix()
        'choice\\n'
        """
        if style not in STYLES:
            raise RadbookError(f"prompt style {style!r} is none of {', '.join(STYLES)}")
        if style == "short":
            return f"{self.name}\n"
        shown = [] if self.quotes else worked_examples()[:3]
        examples = "".join(
            f"\n\nExample {n}\nReport: {text}\nAnswer: {self.render(found[self.name], text)}"
            for n, (text, found) in enumerate(shown, start=1)
        )
        return f"### Instruction:\n{self.instruction()}{examples}\n\n### Report:\n"

    def prompt(self, report_body: str, style: str = "short") -> str:
        """Return what the model reads: the task, then the report, then the cue to answer.

        The task stands first so that a causal model knows what to look for while it reads; the prompt never
        ends in a space, because the space belongs to the completion.

        >>> CHOICE.prompt("Heart is enlarged.")
        'choice\\nHeart is enlarged.\\nfindings:'
        """
        cue = "\nfindings:" if style == "short" else "\n\n### Answer:"
        return self.prefix(style) + report_body.strip() + cue

    def render(self, findings: Iterable[dict], text: str | None = None, *, style: str = "short") -> str:
        """Write the reply that states `findings`: the present ones only, each code once.

        `text` is the report; where a finding has offsets but no phrase, the phrase is read from it.
        In the full style the choice task quotes the evidence below the list, as its instruction asks.

        >>> OPEN.render([finding("M41.9", phrase="scoliosis", start=5, end=14)])
        '[scoliosis (M41.9)]'
        >>> CHOICE.render([])
        '[Normal]'
        """
        chosen: dict[str, dict] = {}
        present = [_with_phrase(f, text) for f in findings if f["presence"] == Presence.PRESENT]
        for entry in sorted(present, key=self.order):
            chosen.setdefault(entry["code"], entry)
        items = [self.write(f) for f in chosen.values()]
        lines = [f"[{', '.join(items) or self.empty}]"]
        if self.quotes and style == "full":
            lines += [f"{f['code']}: {' '.join(f['phrase'].split())}" for f in chosen.values() if f["phrase"]]
        return "\n".join(lines)

    def parse(self, reply: str, text: str | None = None) -> tuple[list[dict], str, str]:
        """Read any reply.

        Returns
        -------
        findings
            In the order of `render`; phrases found in `text` (case and whitespace aside) carry its offsets.
        status
            "ok"; "repaired" (something was corrected or left out, see note); "failed" (nothing was readable).
        note
            What was repaired or why it failed; empty if ok. Letter case is never a repair.

        Examples
        --------
        >>> findings, status, note = CHOICE.parse("[ateletasis, Edema]")
        >>> [f["code"] for f in findings], status, note
        (['Atelectasis', 'Edema'], 'repaired', "'ateletasis' read as Atelectasis")
        >>> CHOICE.parse("I cannot tell.")
        ([], 'failed', 'no bracketed list and no known name')
        """
        for match in _BRACKETED.finditer(reply):
            read = self._read_items(match[1], text, strict=False)
            if read is not None:
                return self._finish(read, reply[: match.start()], reply[match.end() :], text)
        if _BRACKETED.search(reply):
            items = ", ".join(m[1].strip() for m in _BRACKETED.finditer(reply))
            return [], "failed", f"nothing in the list is known: {_short(items)}"
        before, opened, inside = reply.partition("[")
        pieces = [(before, inside, "")] if opened else _lines_in_context(reply)
        for before, piece, after in pieces:
            piece = re.sub(r"^\s*(findings|answer|response)\s*:\s*", "", piece, flags=re.I).strip("[] ")
            read = self._read_items(piece, text, strict=not opened) if piece else None
            if read is not None:
                return self._finish((read[0], ["missing bracket", *read[1]]), before, after, text)
        return [], "failed", "no bracketed list and no known name"

    def _read_items(
        self, inside: str, text: str | None, *, strict: bool
    ) -> tuple[list[dict], list[str]] | None:
        """Read the items of one list; None if it holds items and not one of them is known."""
        found: dict[str, dict] = {}
        notes: list[str] = []
        empty = False
        for raw in _ITEM_BREAK.split(inside):
            item = re.sub(r"\s+", " ", raw).strip(_EDGES)
            if item.lower() in _EMPTY_WORDS:
                empty = empty or bool(item) or not inside.strip()
                continue
            if _NEGATED.match(item):
                notes.append(f"negated item {_short(item)} left out")
                continue
            bare = _HEDGED.sub("", item)
            code, phrase, remark = self.read(bare, strict)
            if code is None:
                notes.append(f"unknown item {_short(item)} left out")
            elif code in found:
                notes.append(f"{code} named twice")
            else:
                presence = Presence.PRESENT if bare == item else Presence.UNCERTAIN
                found[code] = locate(code, phrase, text, presence=presence)
                notes += [remark] if remark else []
                notes += [f"hedged item {_short(item)} read as uncertain"] if bare != item else []
        if not found and (not empty or notes):
            return None
        if found and empty:
            notes.append(f"{self.empty} left out beside findings")
        if not found and not inside.strip():
            notes.append(f"empty list read as {self.empty}")
        return list(found.values()), notes

    def _finish(
        self, read: tuple[list[dict], list[str]], before: str, after: str, text: str | None
    ) -> tuple[list[dict], str, str]:
        findings, notes = read
        prose = bool(re.search(r"\w", before))
        for line in after.splitlines():
            match = _EVIDENCE.match(line) if self.quotes else None
            name = match["name"].strip().lower() if match else ""
            quoted = [i for i, f in enumerate(findings) if f["code"].lower() == name]
            if quoted:
                quote = match["quote"].strip(" \"'")
                old = findings[quoted[0]]
                findings[quoted[0]] = locate(old["code"], quote, text, presence=old["presence"])
            else:
                prose = prose or bool(re.search(r"\w", line))
        if prose:
            notes.append("extra prose beside the list")
        return sorted(findings, key=self.order), "repaired" if notes else "ok", "; ".join(notes)


@cache
def _instruction(name: str) -> str:
    return (files("radbook") / "resources" / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def worked_examples() -> tuple[tuple[str, dict[str, list[dict]]], ...]:
    """Return invented reports with their findings per task, as examples for a language model.

    >>> text, found = worked_examples()[1]
    >>> OPEN.render(found["open"], text)
    '[calcified granuloma (J98.4), scoliosis (M41.9)]'
    """
    stream = (files("radbook") / "resources" / "worked_examples.yaml").read_text(encoding="utf-8")
    return tuple(
        (
            entry["report"],
            {
                "choice": [locate(code, quote, entry["report"]) for code, quote in entry["choice"].items()],
                "open": [locate(code, quote, entry["report"]) for quote, code in entry["open"].items()],
            },
        )
        for entry in yaml.safe_load(stream)
    )


def _lines_in_context(reply: str) -> list[tuple[str, str, str]]:
    lines = reply.splitlines()
    return [("\n".join(lines[:i]), line, "\n".join(lines[i + 1 :])) for i, line in enumerate(lines[:20])]


def _short(item: str) -> str:
    return repr(item if len(item) <= 40 else item[:37] + "...")


def _with_phrase(entry: dict, text: str | None) -> dict:
    if entry.get("phrase") or text is None or entry.get("start") is None:
        return entry
    return {**entry, "phrase": text[entry["start"] : entry["end"]]}


def locate(code: str, phrase: str | None, text: str | None, *, presence: str = Presence.PRESENT) -> dict:
    """Build a finding; where `text` holds the phrase (case and whitespace aside), with offsets and spelling of it.

    >>> found = locate("Edema", "interstitial EDEMA", "Mild interstitial edema.")
    >>> found["phrase"], found["start"]
    ('interstitial edema', 5)
    """
    words = (phrase or "").split()
    if text and words:
        pattern = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)", re.I)
        # The part a prompt shows comes first: the same words in an indication are a question, not a finding.
        for start, end in [*body_spans(text), (0, len(text))]:
            match = pattern.search(text, start, end)
            if match:
                return finding(code, presence, phrase=match[0], start=match.start(), end=match.end())
    return finding(code, presence, phrase=" ".join(words) or None)


_BY_LOWER_NAME = {c.lower(): c for c in CATEGORIES}


def _write_choice(entry: dict) -> str:
    if entry["code"] not in CATEGORIES:
        known = ", ".join(CATEGORIES)
        raise RadbookError(f"choice label {entry['code']!r} is none of the 13 categories: {known}")
    return entry["code"]


def _read_choice(item: str, strict: bool) -> Item:
    name = re.sub(r"[_\s]+", " ", item).lower().strip()
    if name in _BY_LOWER_NAME:
        return _BY_LOWER_NAME[name], None, ""
    bare = re.sub(r"\s*\(.*$", "", name)
    if len(bare) <= 60:
        near = process.extractOne(bare, list(_BY_LOWER_NAME), scorer=fuzz.ratio, score_cutoff=NEAR_MISS)
        if near:
            category = _BY_LOWER_NAME[near[0]]
            return category, None, f"{_short(item)} read as {category}"
    return None, None, ""


def _standard_name(code: str) -> str:
    for concept in FINDINGS.values():
        if concept.icd10 == code:
            return concept.name
    return re.split(r"[,;()\[\]]", descriptor(code) or code)[0].strip().lower()


def _write_open(entry: dict) -> str:
    phrase = " ".join((entry["phrase"] or "").split()).strip(_EDGES)
    unsafe = not re.search(r"\w", phrase) or re.search(r"[\[\](),;?=]|XXXX", phrase) or _NEGATED.match(phrase)
    if unsafe or len(phrase.split()) > MAX_WORDS or _HEDGED.search(phrase) or phrase.lower() in _EMPTY_WORDS:
        phrase = _standard_name(entry["code"])
    return f"{phrase} ({entry['code']})"


def _read_open(item: str, strict: bool) -> Item:
    coded = _CODED.fullmatch(item)
    phrase = (coded["phrase"] or "" if coded else re.sub(r"\s*\(.*$", "", item)).strip(_EDGES)
    raw = re.sub(r"\s+", "", coded["code"]) if coded else ""
    code = normalize_code(raw) if raw else None
    if code and is_leaf(code):
        return code, phrase or None, "" if phrase else f"{code} without a phrase"
    # Prose outside brackets may mention anything: there, only a stated code counts.
    mapped = None if strict or not phrase or len(phrase) > 100 else map_phrase(phrase)
    if mapped is None:
        return None, None, ""
    reason = f" ({raw.upper()} is no valid leaf code)" if raw else ""
    return mapped, phrase, f"{_short(item)} coded {mapped}{reason}"


def _canonical(entry: dict) -> tuple:
    return (CATEGORIES.index(entry["code"]) if entry["code"] in CATEGORIES else -1,)


def _by_mention(entry: dict) -> tuple:
    return entry["start"] is None, entry["start"] or 0, entry["code"]


CHOICE = Task("choice", NORMAL, _canonical, _write_choice, _read_choice, quotes=True)
OPEN = Task("open", "none", _by_mention, _write_open, _read_open, quotes=False)
TASKS = {task.name: task for task in (CHOICE, OPEN)}
