"""Take the marks of typesetting out of a report: tags, emphasis, leaders, check boxes.

Whatever is taken out leaves blanks, so that every character that stays keeps its place.
"""

import re
from collections.abc import Callable

__all__ = ["unmarked"]

_MARKED = re.compile(r"[<>&*_`\[|=~\x80-\U0010ffff]")
_ROWS = re.compile(r"\( ?[-)]|\.[ .]{3}|\? ")
_ANSWER = r"(?=[ \t]*(?:[a-z(]|(?i:none|no|absent|negative|yes|present|small|mild|moderate|large|trace|normal)\b))"


def _instead(new: str) -> Callable[[re.Match], str]:
    return lambda match: new[: len(match[0])].ljust(len(match[0]))


# What is found, and what stands in its place.
_RULES = [
    (re.compile(pattern), _instead(new))
    for pattern, new in (
        (r"(?i)</?(?:br|p|li|ul|ol|div|t[dhr]|table|h\d)\b[^<>\n]{0,200}>", "\n\n"),
        (r"</?[A-Za-z][^<>\n]{0,200}>|&(?:nbsp|#160);|\[\d{1,3}\]|\[[xX]\]", ""),
        (r"&lt;|&gt;|&(?:quot|apos|#39|[lr][sd]quo);|&amp;", ""),
        # A box that is not ticked denies.
        (r"\[ ?\](?=\s*[A-Za-z])|\( \)(?=\s*[A-Za-z])", "no"),
        (r"\( ?-{1,2} ?\)", ": n"),
        (r"(?:\A|(?<=\n\n)|(?<=[.:]\n))[ \t]*>+(?=[ \t]*[A-Za-z])", "-"),
        (r"\*{2,}|(?<=[\w.,:])\*+|`+|~~|(?<!\w)_(?=[A-Za-z])|(?<=[A-Za-z])_(?=[A-Za-z])|(?<=[A-Za-z.,])_(?!\w)", ""),
        # "Effusion ........ none", "Effusion | none", "Effusion -> none"
        (rf"(?<=\w)[ \t]?(?:\.[ \t]?){{4,}}+{_ANSWER}|(?<=\w)[ \t]?_{{5,}}+{_ANSWER}|(?<=\w)[ \t](?:[|=]|[-=]>)(?=[ \t])", ":"),
        (r"\?(?=[ \t]*(?i:no|none|yes|absent|negative|mild|small|moderate|large|present)[ \t]*(?:[.,;\n]|\Z))", ":"),
        ("[\u2018\u2019\u02bc]", "'"),
        ("[\u201c\u201d\u201e\u00ab\u00bb]", '"'),
        ("[\u2010\u2011\u2212]", "-"),
    )
]


def unmarked(text: str) -> str:
    """Return a text of the same length without marks of typesetting.

    >>> unmarked("<b>No</b> effusion. Edema ...... none")
    '   No     effusion. Edema:        none'
    """
    if _MARKED.search(text) or _ROWS.search(text):
        for pattern, instead in _RULES:
            text = pattern.sub(instead, text)
    return text
