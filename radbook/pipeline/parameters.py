"""Parameters of the chapters: what the notebooks declare, what a profile sets, and every check before a kernel starts.

A chapter declares its parameters in the one cell tagged `parameters`, one `name: type = literal  # help` per line.
The help ends with the values that can be meant: `in [1, 64]`, `in (0, inf)` (a bracket of this kind leaves its end out), or
`{all, agreed}`. Where it says nothing, any value of the type may stand.
A profile (`notebooks/profiles/*.yaml`) is a flat mapping of those names; `-p NAME VALUE` overrides it.
"""

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from radbook.core.errors import RadbookError, choose, did_you_mean
from radbook.core.yaml12 import read_yaml
from radbook.pipeline.validation import check_values

__all__ = [
    "UNPUBLISHED",
    "Parameter",
    "declared_parameters",
    "load_profile",
    "public_parameters",
    "public_value",
    "resolve_parameters",
]

UNPUBLISHED = ("corpus_path", "chat_url")
"""Parameters that say more of a machine than of a run."""

_CHOICES, _LIMITS = r"\{(.*)\}$", r" in ([\[(])(\S+), (\S+)([\])])$"  # at the end of a parameter's help
KINDS = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: name, type, default, the comment behind it, and the chapters that declare it."""

    name: str
    kind: str
    default: str | int | float | bool
    help: str
    chapters: tuple[str, ...]


def declared_parameters(notebooks: Iterable[Path]) -> dict[str, Parameter]:
    """Return the union of the parameters that the notebooks declare, all of them in the same way."""
    union: dict[str, Parameter] = {}
    for path in notebooks:
        for parameter in _read_cell(path):
            known = union.setdefault(parameter.name, parameter)
            if known is parameter:
                continue
            if _declared(known) != _declared(parameter):
                raise RadbookError(
                    f"{path.name} declares {parameter.name}: {parameter.kind} = {parameter.default!r}, but {known.chapters[0]} "
                    f"declares {known.kind} = {known.default!r}: make them the same, and the values that their comments allow"
                )
            union[parameter.name] = replace(known, chapters=(*known.chapters, path.stem))
    return union


def load_profile(profile: str | Path, project: Path) -> tuple[str, dict]:
    """Return the name and the values of a profile: a name in `notebooks/profiles`, or the path of a YAML file."""
    folder = project / "notebooks" / "profiles"
    path = Path(profile)
    if not path.suffix:
        path = folder / f"{profile}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in folder.glob("*.yaml"))
        raise RadbookError(f"there is no profile {profile}{did_you_mean(str(profile), names)}; profiles here: {', '.join(names)}")
    values = read_yaml(path, f"profile {path.name} is not readable YAML")
    values = {} if values is None else values
    if not isinstance(values, dict) or any(isinstance(v, (dict, list)) for v in values.values()):
        raise RadbookError(f"profile {path.name} is not a flat mapping: write one `name: value` per line")
    return path.stem, values


def resolve_parameters(
    declared: Mapping[str, Parameter],
    profile: Mapping[str, object] | None,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    source: str = "the profile",
) -> dict[str, object]:
    """Return the value of every declared parameter: its default, then the profile's, then that of the overrides.

    The profile holds values as YAML gives them (None: it is empty), the overrides are pairs of name and text, as typed on a
    command line; messages call the profile `source`. Refused is what is of another type or outside what the help allows.

    >>> rate = Parameter("learning_rate", "float", 2e-3, "", ("06_lora_finetuning",))
    >>> resolve_parameters({"learning_rate": rate}, {"learning_rate": "1e-4"})
    {'learning_rate': 0.0001}
    >>> resolve_parameters({"learning_rate": rate}, {}, [("learning_rat", "1")])
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: -p learning_rat: no chapter declares this parameter; did you mean learning_rate?
    """
    values = {name: p.default for name, p in declared.items() if name != "run"}
    given = [(source, name, value) for name, value in (profile or {}).items()] + [("-p", n, v) for n, v in overrides]
    for where, name, value in given:
        if name == "run":
            raise RadbookError(f"{where}: run is not set as a parameter; use --run NAME, or --name of a sweep")
        if name not in values:
            hint = did_you_mean(str(name), values) or f"; parameters are {', '.join(sorted(values))}"
            raise RadbookError(f"{where} {name}: no chapter declares this parameter{hint}")
        values[name] = _allowed(_convert(value, declared[name], where), declared[name], where)
    check_values(values)
    return values


def public_parameters(values: Mapping[str, object]) -> dict[str, object]:
    """Return parameters as others may see them: without those of `UNPUBLISHED`, the others as `public_value` shows them."""
    return {name: public_value(value) for name, value in values.items() if name not in UNPUBLISHED}


def public_value(value: object) -> object:
    """Return the value of a parameter; of a path of this machine only its last name, as of the folder of a base model.

    >>> public_value("/home/me/models/llama"), public_value("org/llama"), public_value(3)
    ('llama', 'org/llama', 3)
    """
    local = isinstance(value, str) and (value.startswith(("/", "~")) or Path(value).is_absolute())
    return Path(value).name if local else value


def _read_cell(path: Path) -> list[Parameter]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        raise RadbookError(f"{path.name} is missing or not a notebook") from None
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise RadbookError(f"{path.name} has {len(tagged)} cells tagged parameters; it needs exactly one")
    source = "".join(tagged[0]["source"])
    lines, found = source.splitlines(), []
    try:
        for node in ast.parse(source).body:
            kind, default = ast.unparse(node.annotation), ast.literal_eval(node.value)
            if kind not in KINDS or type(default) is not KINDS[kind]:
                raise ValueError
            comment = re.search(r"#\s*(.*)$", lines[node.end_lineno - 1][node.end_col_offset :])
            found.append(Parameter(node.target.id, kind, default, comment[1] if comment else "", (path.stem,)))
    except (SyntaxError, AttributeError, ValueError, TypeError):
        raise RadbookError(
            f"{path.name}: the parameters cell holds something else than lines `name: type = literal  # help` "
            f"with type str, int, float or bool"
        ) from None
    return found


def _convert(value: object, parameter: Parameter, where: str) -> object:
    """Return `value` in the declared type; text is read as that type, other types are never guessed at."""
    kind = parameter.kind
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "bool":
        if isinstance(value, bool):
            return value
        if where == "-p" and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
    # Text that is a number counts as one for a float, also where a profile has it in quotes.
    elif not isinstance(value, bool) and (kind == "float" or (kind == "int" and (isinstance(value, int) or where == "-p"))):
        with suppress(TypeError, ValueError, OverflowError):
            number = KINDS[kind](value)
            if math.isfinite(number):
                return number
    raise RadbookError(f"{where} {parameter.name}: {value!r} is not of type {kind} (default {parameter.default!r})")


def _declared(parameter: Parameter) -> tuple:
    return parameter.kind, parameter.default, re.findall(f"{_CHOICES}|{_LIMITS}", parameter.help)


def _allowed(value: object, parameter: Parameter, where: str) -> object:
    """Return `value` if it is one that the help of the parameter allows.

    >>> _allowed(1.5, Parameter("threshold", "float", 0.0, "probability in [0, 1]", ()), "-p")
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: -p threshold is 1.5: give a number in [0, 1] (default 0.0)
    """
    if choices := re.search(_CHOICES, parameter.help):
        return choose(value, choices[1].split(", "), f"{where} {parameter.name}")
    if limits := re.search(_LIMITS, parameter.help):
        low, high = float(limits[2]), float(limits[3])
        if not low <= value <= high or (limits[1] == "(" and value == low) or (limits[4] == ")" and value == high):
            number = "a whole number" if parameter.kind == "int" else "a number"
            raise RadbookError(
                f"{where} {parameter.name} is {value}: give {number}{limits[0]} (default {parameter.default!r})"
            )
    return value
