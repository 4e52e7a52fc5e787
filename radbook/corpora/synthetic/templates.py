r"""The template language of the synthetic reports: compiling a template, and writing a text from it.

A template is a line of text with choices `(a|b|)`, slots `{name}` and evidence marks `<...>`; a backslash takes the next
character literally.
A slot is filled from the list of that name in the same grammar, or by the writer (`{X}`, `{loc}`, ...).
"""

from collections.abc import Callable, Mapping

from radbook.core.errors import RadbookError

__all__ = ["Node", "parse", "write"]

# A node is a literal, a list (one of), a tuple (all of), or a Slot (asked from the writer's context).
Node = object


class Slot(str):
    """The name of something only the writer knows."""

    __slots__ = ()


def parse(template: str, lookup: Callable[[str], list | None]) -> Node:
    r"""Compile a template; `lookup` gives the list of a slot name, or None for a slot of the writer.

    >>> write(parse("a (b|b) {c} <\\(d\\)>", {"c": ["x"]}.get), lambda: 0.0, {"<": "[", ">": "]"})
    'a b x [(d)]'
    """
    node, end = _sequence(template, 0, lookup, nested=False)
    if end != len(template):
        raise RadbookError(f"grammar template {template!r}: unbalanced bracket at character {end}")
    return node


def _sequence(text: str, at: int, lookup: Callable, *, nested: bool) -> tuple[Node, int]:
    choices: list[Node] = []
    parts: list[Node] = []
    literal = ""
    while at < len(text):
        char = text[at]
        if char == "\\":
            literal += text[at + 1]
            at += 2
            continue
        if char not in "({<>|)" or (char in "|)" and not nested):
            literal += char
            at += 1
            continue
        if literal:
            parts.append(literal)
            literal = ""
        if char == "(":
            inner, at = _sequence(text, at + 1, lookup, nested=True)
            if at >= len(text):
                raise RadbookError(f"grammar template {text!r}: a bracket is not closed")
            parts.append(inner)
        elif char == "{":
            end = text.index("}", at)
            name = text[at + 1 : end]
            listed = lookup(name)
            parts.append(Slot(name) if listed is None else listed)
            at = end
        elif char in "<>":
            parts.append(Slot(char))
        else:
            choices.append(_join(parts))
            parts = []
            if char == ")":
                return choices, at
        at += 1
    if literal:
        parts.append(literal)
    if nested:
        raise RadbookError(f"grammar template {text!r}: a bracket is not closed")
    return _join(parts), at


def _join(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else tuple(parts)


def write(node: Node, random: Callable[[], float], context: Mapping[str, str]) -> str:
    """Write one text from a compiled node; `random` returns numbers in [0, 1)."""
    out: list[str] = []
    _walk(node, random, context, out.append)
    return "".join(out)


def _walk(node: Node, random: Callable, context: Mapping, add: Callable) -> None:
    kind = node.__class__
    if kind is str:
        add(node)
    elif kind is list:
        _walk(node[int(random() * len(node))], random, context, add)
    elif kind is tuple:
        for part in node:
            _walk(part, random, context, add)
    else:
        add(context[node])
