"""What a language model is asked about a report, and what its reply says: messages, JSON schema, quotes looked up.

`radbook.tasks` parses the answer, the JSON object of `response_schema` as well as a list.
A model can make up evidence, so every quote is looked up in the report; one that is not there makes the reply unusable.
"""

import hashlib
import json
import random
import re

from radbook.core.files import encodable
from radbook.icd10 import check_code, map_phrase
from radbook.tasks import Task
from radbook.tasks.grounding import grounded

__all__ = ["build_messages", "read_reply", "response_schema"]

_N_EXAMPLES = 3


def build_messages(
    task: Task, body: str, *, style: str = "full", structured: bool = True, seed: int = 0
) -> list[dict[str, str]]:
    """Write the messages that ask for the findings of one report.

    Style "full" gives instruction, worked examples and report, and asks for a JSON object where `structured`, else for a list
    in square brackets; "short" is the bare prompt a tuned student was trained on.
    The three worked examples are drawn from the packaged pool by seed and report, and never the report that is asked about.

    >>> from radbook.tasks import CHOICE
    >>> [m["role"] for m in build_messages(CHOICE, "Clear lungs.")]
    ['system', 'user', 'assistant', 'user', 'assistant', 'user', 'assistant', 'user']
    >>> build_messages(CHOICE, "Clear lungs.", style="short")
    [{'role': 'user', 'content': 'choice\\nClear lungs.\\nfindings:'}]
    """
    if style == "short":
        return [{"role": "user", "content": task.prompt(body, style)}]
    messages = [{"role": "system", "content": task.instructions["json" if structured else "list"]}]
    for text, found in _draw(task, body, seed):
        answer = _as_json(task, found) if structured else task.render(found, text, style=style)
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": body.strip()}]


def response_schema(task: Task) -> dict[str, object]:
    """Return the JSON schema of a structured answer, in the form of a chat request's `response_format`.

    >>> from radbook.tasks import OPEN
    >>> response_schema(OPEN)["json_schema"]["schema"]["properties"]["findings"]["items"]["required"]
    ['quote', 'icd10']
    """
    text: dict[str, object] = {"type": "string"}
    code = {**text, "enum": list(task.codes)} if task.codes else text
    fields = _fields(task, code, text)
    item = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    schema = {
        "type": "object",
        "properties": {"findings": {"type": "array", "items": item}},
        "required": ["findings"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": f"{task.name}_findings", "strict": True, "schema": schema},
    }


def read_reply(task: Task, reply: str, text: str, *, quoted: bool = True) -> tuple[list[dict], str, str]:
    """Read a reply in either form.

    Codes pass the gate of `radbook.icd10`: one that does not name its phrase is replaced by the phrase's own code, or
    the item is left out where no code names it.

    Parameters
    ----------
    task
        What was asked.
    reply
        Any string.
    text
        The report, as in `reports.text`; quotes must stand in its findings or impression, case and whitespace aside.
    quoted
        Whether quotes were asked for; a tuned student answers in its own words, and these are not looked up.

    Returns
    -------
    findings, status, note
        As `Task.parse` returns them. A quote that the report does not hold makes the status "failed".

    Examples
    --------
    >>> from radbook.tasks import OPEN
    >>> reply = '{"findings": [{"quote": "effusion", "icd10": "J91.0"}]}'
    >>> read_reply(OPEN, reply, "Left effusion.")[1:]
    ('repaired', '\\'effusion\\' coded J90 (J91.0 means "Malignant pleural effusion", which does not name it)')
    >>> read_reply(OPEN, "[pneumothorax (J93.9)]", "Left effusion.")[1:]
    ('failed', "the report does not say 'pneumothorax'")
    """
    findings, status, note = task.parse(encodable(reply), text)
    if status == "failed" or not quoted:
        return findings, status, note
    notes = [note] if note else []
    findings, more, invented = grounded(findings, text)
    notes += more
    if invented:
        quotes = ", ".join(repr(quote[:60]) for quote in invented)
        return [], "failed", "; ".join([f"the report does not say {quotes}", *notes])
    if not task.codes:
        findings, more = _through_gate(findings)
        notes += more
    return sorted(findings, key=task.order), "repaired" if notes else "ok", "; ".join(notes)


def _fields(task: Task, code: object, quote: object) -> dict[str, object]:
    """One item of a JSON answer; where any code may stand, the quote comes first, so that it decides the code."""
    return {task.attribute: code, "quote": quote} if task.codes else {"quote": quote, task.attribute: code}


def _draw(task: Task, body: str, seed: int) -> list[tuple[str, list[dict]]]:
    words = body.split()
    pool = [example for example in task.examples if example[0].split() != words]
    key = hashlib.blake2b(f"{seed}\n{' '.join(words)}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return random.Random(int.from_bytes(key, "big")).sample(pool, min(_N_EXAMPLES, len(pool)))


def _as_json(task: Task, findings: list[dict]) -> str:
    items = [_fields(task, f["code"], f["phrase"]) for f in sorted(findings, key=task.order)]
    return json.dumps({"findings": items}, ensure_ascii=False)


def _through_gate(findings: list[dict]) -> tuple[list[dict], list[str]]:
    kept: dict[str, dict] = {}
    notes = []
    for entry in findings:
        code, phrase = entry["code"], entry["phrase"]
        ok, reason = check_code(code, phrase) if phrase else (True, "")
        if not ok:
            short = re.sub(r'which does not name ".*', "which does not name it", reason, flags=re.DOTALL)
            code = map_phrase(phrase)
            outcome = f"coded {code}" if code else "left out"
            notes.append(f"{phrase[:60]!r} {outcome} ({short})")
        if code:
            kept.setdefault(code, {**entry, "code": code})
    return list(kept.values()), notes
