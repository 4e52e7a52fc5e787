r"""The template language of the synthetic reports: compiling a template, and writing a text from it.

A template is a line of text with choices `(a|b|)`, slots `{name}` and evidence marks `<...>`; a backslash takes the next
character literally.
A slot is filled from the list of that name in the same grammar, or by the writer (`{X}`, `{loc}`, ...).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from radbook.core.errors import RadbookError

__all__ = ["Node", "parse", "write"]

# A node is a literal, a list (one of), a tuple (all of), or a Slot (asked from the writer's context).
Node = object

_TOKEN = re.compile(r"\\(?P<escaped>.)|\{(?P<slot>[^}]*)\}|(?P<sign>[()|<>])|(?P<plain>[^\\{()|<>]+)", re.DOTALL)


class Slot(str):
    """The name of something only the writer knows."""

    __slots__ = ()


def parse(template: str, lookup: Callable[[str], list | None]) -> Node:
    r"""Compile a template; `lookup` gives the list of a slot name, or None for a slot of the writer.

    >>> write(parse("a (b|b) {c} <\\(d\\)>", {"c": ["x"]}.get), lambda: 0.0, {"<": "[", ">": "]"})
    'a b x [(d)]'
    """
    return _sequence(template, _TOKEN.finditer(template), lookup, nested=False)


def _sequence(template: str, tokens: Iterator[re.Match], lookup: Callable, *, nested: bool) -> Node:
    choices: list[Node] = []
    parts: list[Node] = []
    for token in tokens:
        kind, value = token.lastgroup, token[token.lastgroup]
        if kind == "slot":
            listed = lookup(value)
            parts.append(Slot(value) if listed is None else listed)
        elif kind == "sign" and value == "(":
            parts.append(_sequence(template, tokens, lookup, nested=True))
        elif kind == "sign" and value in "<>":
            parts.append(Slot(value))
        elif kind == "sign" and nested:
            choices.append(_joined(parts))
            parts = []
            if value == ")":
                return choices
        else:
            parts.append(value)
    if nested:
        raise RadbookError(f"grammar template {template!r}: a bracket is not closed")
    return _joined(parts)


def _joined(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else tuple(parts)


def write(node: Node, random: Callable[[], float], context: Mapping[str, str]) -> str:
    """Write one text from a compiled node; `random` returns numbers in [0, 1)."""
    kind = node.__class__
    if kind is str:
        return node
    if kind is list:
        return write(node[int(random() * len(node))], random, context)
    if kind is tuple:
        return "".join([write(part, random, context) for part in node])
    return context[node]
