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

import pandas as pd
import yaml

from radbook.core.errors import choose
from radbook.core.findings import Presence
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.icd10 import block
from radbook.tasks.grounding import locate, with_phrase
from radbook.tasks.list_items import (
    EDGES,
    Read,
    by_mention,
    canonical,
    read_choice,
    read_item,
    read_open,
    short,
    write_choice,
    write_open,
)

__all__ = ["CHOICE", "LEVELS", "OPEN", "STYLES", "TASKS", "Task", "present_codes", "task_of", "worked_examples"]

STYLES = ("short", "full")
LEVELS = ("block", "category", "code")
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_ITEM_BREAK = re.compile(r"[,;\n](?![^()\n]*\))")  # not inside parentheses
_EVIDENCE = re.compile(r"^[\s\-*\u2022]*(?P<name>[^:\n]{3,40}?)\s*:\s*(?P<quote>\S.*)$")


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
    codes
        All codes that an answer may name, in canonical order; empty where any ICD-10-CM code may stand.
    attribute
        The field of `radbook.core.ontology.FINDINGS` that holds a finding's code in this task.
    """

    name: str
    empty: str
    order: Callable[[dict], tuple]
    write: Callable[[dict], str]
    read: Read
    quotes: bool
    codes: tuple[str, ...]
    attribute: str

    def key(self, level: str = "category") -> Callable[[str], str]:
        """How two codes are compared: by the block of ICD-10 they are in, its category (three characters), or as they are.

        A closed set of names has no levels: they are compared as they are.
        So are a code of no known block and the name of a block.

        >>> [OPEN.key(level)("J98.11") for level in LEVELS], CHOICE.key()("Edema")
        (['J96-J99', 'J98', 'J98.11'], 'Edema')
        """
        choose(level, LEVELS, "level")
        if self.codes or level == "code":
            return lambda code: code
        return (lambda code: block(code) or code) if level == "block" else (lambda code: code[:3])

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
        choose(style, STYLES, "style")
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

        >>> from radbook.core.findings import finding
        >>> OPEN.render([finding("M41.9", phrase="scoliosis", start=5, end=14)])
        '[scoliosis (M41.9)]'
        >>> CHOICE.render([])
        '[Normal]'
        """
        chosen: dict[str, dict] = {}
        present = [with_phrase(f, text) for f in findings if f["presence"] == Presence.PRESENT]
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
            return [], "failed", f"nothing in the list is known: {short(items)}"
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
        empty = not inside.strip()
        for raw in _ITEM_BREAK.split(inside):
            if not raw.strip(EDGES + "\n"):
                continue
            item = read_item(raw, self.read, strict=strict)
            empty = empty or item.nothing
            if item.code in found:
                notes.append(f"{item.code} named twice")
                continue
            if item.code:
                found[item.code] = locate(item.code, item.phrase, text, presence=item.presence)
            notes += item.notes
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


CHOICE = Task(
    "choice", NORMAL, canonical, write_choice, read_choice, quotes=True, codes=CATEGORIES, attribute="category"
)
OPEN = Task("open", "none", by_mention, write_open, read_open, quotes=False, codes=(), attribute="icd10")
TASKS = {task.name: task for task in (CHOICE, OPEN)}
"""The tasks by name; whoever adds a third one here has it in labels, instructions, replies and scores."""


def task_of(name: str) -> Task:
    """Return a task by its name; an unknown one is refused with the nearest.

    >>> task_of("open").attribute
    'icd10'
    """
    return TASKS[choose(name, TASKS, "task")]


def present_codes(labels: pd.DataFrame, *, task: str) -> dict[str, set[str]]:
    """Return the codes that the rows of a task say are present, ICD-10 codes by category; failed rows say nothing.

    >>> from radbook.core.findings import finding, label_row
    >>> present_codes(pd.DataFrame([label_row("a", "rules", "open", [finding("J81.1"), finding("J90", "absent")])]), task="open")
    {'a': {'J81'}}
    """
    key = task_of(task).key()
    rows = labels[(labels["task"] == task) & (labels["status"] != "failed")]
    return {
        report_id: {key(f["code"]) for f in said if f["presence"] == Presence.PRESENT}
        for report_id, said in zip(rows["report_id"], rows["findings"], strict=True)
    }
