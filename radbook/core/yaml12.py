"""YAML 1.2, as people write it: `1e-4` and `010` are numbers, `1:30`, `on`, `yes` and dates are text; no key comes twice."""

import re
from pathlib import Path
from typing import Any

import yaml

from radbook.core.errors import RadbookError

__all__ = ["read_yaml"]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict = {}  # noqa: RUF012  PyYAML's own are those of YAML 1.1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [k.value for k, _ in node.value]
        twice = next((k for k in keys if keys.count(k) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(problem=f"{twice} is set twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


for _kind, _pattern, _read in (  # the core schema; of two that fit, the first is taken
    ("bool", "true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    ("null", "~|null|Null|NULL|", lambda text: None),
    ("int", r"[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+", lambda text: int(text, 0 if text[:2] in ("0o", "0x") else 10)),
    (
        "float", r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        lambda text: float(re.sub(r"\.(?=[a-z])", "", text.lower())),
    ),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?a:{_pattern})$"), None)
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", lambda loader, node, read=_read: read(node.value))


def read_yaml(path: Path, refused: str) -> Any:
    """Return what a YAML file holds; of one that cannot be read the message begins with `refused`.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "demo.yaml")
    >>> _ = file.write_text("rate: 1e-4\\npause: 1:30\\nlive: on\\nrank: 010")
    >>> read_yaml(file, "the demo cannot be read")
    {'rate': 0.0001, 'pause': '1:30', 'live': 'on', 'rank': 10}
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: as of a number of 5,000 digits
        raise RadbookError(f"{refused}: {' '.join(str(error).split())}") from None
