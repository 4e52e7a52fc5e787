"""Which values of parameters cannot be meant: what is refused before a kernel starts, not four chapters later.

`radbook.pipeline.parameters` sees to it that each value is of its type and range; here they are held against each other and
the machine.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.core.files import PACKAGED_BASES
from radbook.corpora.openi import packaged_archive
from radbook.corpora.splits import assign_splits

__all__ = ["check_sources", "check_values"]

_CURATED = ("curated", "simulated")  # sources that are curated labels, or made from them


def check_values(values: dict[str, object]) -> None:
    """Refuse a path that does not exist, a corpus without its file, splits that leave nothing, a language model without address.

    Paths, and a base model that is a folder, become absolute in `values`; relative ones are read against the current folder.

    >>> check_values({"corpus": "table", "corpus_path": ""})
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: corpus table needs its file: add -p corpus_path FILE
    """
    for name in [n for n in values if n.endswith("_path") and values[n]]:
        path = Path(str(values[name])).expanduser().resolve()
        if not path.exists():
            raise RadbookError(f"{name}: there is no file or folder {values[name]}")
        values[name] = str(path)
    if values.get("corpus") == "openi" and not values.get("corpus_path"):
        packaged_archive()
    if values.get("corpus") == "table" and not values.get("corpus_path"):
        raise RadbookError("corpus table needs its file: add -p corpus_path FILE")
    _check_chat(values)
    if "test_fraction" in values:
        listed = values.get("corpus") == "openi"
        shares = {name: values.get(name, 0) for name in ("test_fraction", "dev_fraction")}
        assign_splits([], seed=0, **shares | ({"test_fraction": 0} if listed else {}))
    if values.get("warmup", 0) > 1 and values["warmup"] != int(values["warmup"]):
        raise RadbookError(f"warmup is {values['warmup']}: give a fraction of the steps below 1, or a whole number of steps")
    base = values.get("base_model")
    if base and base not in PACKAGED_BASES and Path(str(base)).expanduser().is_dir():
        # A relative folder would be taken for the name of a model on a hub.
        values["base_model"] = str(Path(str(base)).expanduser().resolve())


def check_sources(values: Mapping[str, object]) -> None:
    """Refuse sources of training labels that are none at all, or that the corpus cannot have: Open-i's indexer, curated labels.

    >>> check_sources({"corpus": "table", "open_source": "simulated"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: open_source simulated needs curated labels of the open task, which a table cannot hold: ...
    """
    if values.get("choice_source") == values.get("open_source") == "none":
        raise RadbookError("choice_source and open_source are none: name a source for one of them")
    for name in ("choice_source", "open_source"):
        if values.get(name) == "indexer" and values.get("corpus", "openi") != "openi":
            raise RadbookError(
                f"{name} indexer: only records of Open-i have terms of the indexer, not the corpus {values['corpus']}: "
                f"add -p {name} rules"
            )
    if values.get("corpus") != "table":
        return
    if values.get("open_source") in _CURATED:
        raise RadbookError(
            f"open_source {values['open_source']} needs curated labels of the open task, which a table cannot hold: "
            "add -p open_source rules"
        )
    if values.get("choice_source") in _CURATED and not values.get("label_column"):
        raise RadbookError(
            f"choice_source {values['choice_source']} needs curated labels: name their column with -p label_column ..., "
            "or add -p choice_source rules"
        )


def _check_chat(values: dict[str, object]) -> None:
    asked = values.get("llm_teacher") == "chat"
    lacking = [f"-p {name} ..." for name in ("chat_model", "chat_url") if not values.get(name)]
    if asked and lacking:
        raise RadbookError(f"llm_teacher chat needs to know whom to ask: add {' '.join(lacking)}")
    if values.get("chat_url"):
        from radbook.teachers.llm.privacy import check_address  # only who asks a model needs its libraries

        check_address(str(values["chat_url"]))
    if not re.fullmatch(r"[A-Za-z_]\w*", str(values.get("chat_key_variable", "_"))):  # whose value may be a key: not shown
        raise RadbookError("chat_key_variable: give the name of the environment variable that holds the key, not the key")
    for name in ("choice_source", "open_source"):
        if values.get(name) == "chat" and not asked:
            raise RadbookError(f"{name} chat needs labels of a language model: add -p llm_teacher chat")
