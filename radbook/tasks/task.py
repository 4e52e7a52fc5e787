"""The two tasks as text: the prompt a model reads, the reply it should write, and a parser for what it did write.

`CHOICE` asks which of the 13 categories a report states; `OPEN` asks for every finding with its ICD-10-CM code.
Both replies start with a one-line list in square brackets, so one parser serves both; a third task is one more `Task`
in `TASKS`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from operator import itemgetter

import pandas as pd
import yaml

from radbook.core.errors import RadbookError, choose
from radbook.core.findings import Presence
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.icd10 import block
from radbook.tasks.grounding import locate
from radbook.tasks.list_items import Read, read_choice, read_open, write_open
from radbook.tasks.replies import parse_reply

__all__ = ["CHOICE", "LEVELS", "OPEN", "STYLES", "TASKS", "Task", "present_codes", "task_of"]

STYLES = ("short", "full")
LEVELS = ("block", "category", "code")


@dataclass(frozen=True, eq=False)
class Task:
    """One thing to ask of a report.

    Attributes
    ----------
    name
        The task word: it opens the short prompt and fills the `task` column of every table.
    empty
        The word between the brackets when nothing is found.
    attribute
        What a code is called: the field of `radbook.core.ontology.FINDINGS` that holds it, and its name in a JSON answer.
    read
        Turns one list item into (code, phrase, remark); told `strict` where the item stood outside brackets.
    instructions
        What to do, in words, by the form of the answer: "list" in square brackets, or "json".
    write
        Turns one finding into one list item.
    codes
        All codes that an answer may name, in canonical order; empty where any ICD-10-CM code may stand.
    quotes
        Whether the full style adds one line of evidence per finding below the list.
    examples
        Invented reports and their findings. The full prompt of a task without `quotes` shows the first three.
    """

    name: str
    empty: str
    attribute: str
    read: Read
    instructions: Mapping[str, str]
    write: Callable[[dict], str] = itemgetter("code")
    codes: tuple[str, ...] = ()
    quotes: bool = False
    examples: tuple[tuple[str, list[dict]], ...] = ()

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

    def order(self, entry: dict) -> tuple:
        """Sort findings by this: a closed set in its own order, others by where the report names them.

        >>> from radbook.core.findings import finding
        >>> [f["code"] for f in sorted([finding("Fracture"), finding("Edema")], key=CHOICE.order)]
        ['Edema', 'Fracture']
        """
        if self.codes:
            return (self.codes.index(entry["code"]) if entry["code"] in self.codes else -1,)
        return entry["start"] is None, entry["start"] or 0, entry["code"]

    def prefix(self, style: str = "short") -> str:
        """Return the constant text before the report, which generation may prefill once for all reports.

        >>> CHOICE.prefix()
        'choice\\n'
        """
        choose(style, STYLES, "style")
        if style == "short":
            return f"{self.name}\n"
        shown = [] if self.quotes else self.examples[:3]
        examples = "".join(
            f"\n\nExample {n}\nReport: {text}\nAnswer: {self.render(findings, text)}"
            for n, (text, findings) in enumerate(shown, start=1)
        )
        return f"### Instruction:\n{self.instructions['list']}{examples}\n\n### Report:\n"

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
        present = [f for f in findings if f["presence"] == Presence.PRESENT]
        for entry in sorted(present, key=self.order):
            if not entry.get("phrase") and text is not None and entry.get("start") is not None:
                entry = {**entry, "phrase": text[entry["start"] : entry["end"]]}
            if self.codes and entry["code"] not in self.codes:
                known = f"{len(self.codes)} categories: {', '.join(self.codes)}"
                raise RadbookError(f"{self.name} label {entry['code']!r} is none of the {known}")
            chosen.setdefault(entry["code"], entry)
        items = [self.write(f) for f in chosen.values()]
        lines = [f"[{', '.join(items) or self.empty}]"]
        if self.quotes and style == "full":
            lines += [f"{f['code']}: {' '.join(f['phrase'].split())}" for f in chosen.values() if f["phrase"]]
        return "\n".join(lines)

    def parse(self, reply: str, text: str | None = None) -> tuple[list[dict], str, str]:
        """Read any reply; items that were changed or left out are noted.

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
        return parse_reply(self, reply, text)


def _packaged(name: str) -> dict:
    """Read the instructions and worked examples of a task from the package's resources."""
    folder = files("radbook") / "resources"
    forms = {"list": folder / "prompts" / f"{name}.txt", "json": folder / "prompts" / f"{name}_json.txt"}
    instructions = {form: file.read_text(encoding="utf-8").strip() for form, file in forms.items()}
    entries = yaml.safe_load((folder / "worked_examples.yaml").read_text(encoding="utf-8"))
    examples = [
        (e["report"], [locate(code, quote, e["report"]) for code, quote in e[name].items()]) for e in entries
    ]
    return {"instructions": instructions, "examples": tuple(examples)}


CHOICE = Task("choice", NORMAL, "category", read_choice, codes=CATEGORIES, quotes=True, **_packaged("choice"))
OPEN = Task("open", "none", "icd10", read_open, write=write_open, **_packaged("open"))
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
        report_id: {key(f["code"]) for f in findings if f["presence"] == Presence.PRESENT}
        for report_id, findings in zip(rows["report_id"], rows["findings"], strict=True)
    }
