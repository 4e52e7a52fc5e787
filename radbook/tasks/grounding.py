"""The words of a report that a finding rests on: phrases looked up in the text, and quotes held to it."""

import re

from rapidfuzz import fuzz

from radbook.core.findings import Presence, finding
from radbook.corpora.sections import body_spans

__all__ = ["grounded", "locate"]

# Least likeness (0-100) at which a quote with a slip of the pen is replaced by the words it stands for.
_ALIKE = 90


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


def grounded(findings: list[dict], text: str) -> tuple[list[dict], list[str], list[str]]:
    """Look every quote up; returns the findings, what was repaired, and the quotes that the report does not hold."""
    spans = body_spans(text)
    grounded, notes, invented = [], [], []
    for entry in findings:
        quote, start = entry["phrase"], entry["start"]
        if not quote:
            notes.append(f"no quote for {entry['code']}")
            grounded.append(entry)
        elif start is not None and any(a <= start and entry["end"] <= b for a, b in spans):
            grounded.append(entry)
        elif place := _nearly(quote, text, spans):
            grounded.append({**entry, "phrase": text[slice(*place)], "start": place[0], "end": place[1]})
            notes.append(f"{quote[:60]!r} read as {text[slice(*place)]!r}")
        else:
            invented.append(quote)
    return grounded, notes, invented


def _nearly(quote: str, text: str, spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Find the words of the report that a slightly misspelled quote stands for."""
    if len(quote) < 6:
        return None
    for start, end in spans:
        # Blanks of any kind count alike; letters that change length when lowered would shift the offsets.
        piece = re.sub(r"\s", " ", text[start:end])
        lowered = piece.lower() if len(piece.lower()) == len(piece) else piece
        found = fuzz.partial_ratio_alignment(" ".join(quote.lower().split()), lowered, score_cutoff=_ALIKE)
        if found and len(quote) <= len(piece):
            left, right = found.dest_start, found.dest_end
            while left > 0 and piece[left - 1].isalnum() and piece[left].isalnum():
                left -= 1
            while right < len(piece) and piece[right].isalnum() and piece[right - 1].isalnum():
                right += 1
            left += len(piece[left:right]) - len(piece[left:right].lstrip())
            right = left + len(piece[left:right].rstrip())
            if right > left:
                return start + left, start + right
    return None
