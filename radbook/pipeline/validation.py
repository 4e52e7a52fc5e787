"""Which values of parameters cannot be meant: what is refused before a kernel starts, not four chapters later.

`radbook.pipeline.parameters` sees to it that each value is of its type; here they are held against each other and the machine.
"""

from collections.abc import Mapping
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.core.files import PACKAGED_BASES
from radbook.corpora.openi import packaged_archive

__all__ = ["check_paths", "check_sources"]

_CURATED = ("curated", "simulated")  # sources that are curated labels, or made from them


def check_paths(values: dict[str, object]) -> None:
    """Refuse a path that does not exist, a corpus without its file and a language model without address.

    Paths, and a base model that is a folder, become absolute in `values`; relative ones are read against the current folder.

    >>> check_paths({"corpus": "table", "corpus_path": ""})
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
    base = values.get("base_model")
    if base and base not in PACKAGED_BASES and Path(str(base)).expanduser().is_dir():
        # A relative folder would be taken for the name of a model on a hub.
        values["base_model"] = str(Path(str(base)).expanduser().resolve())


def check_sources(values: Mapping[str, object]) -> None:
    """Refuse a source of training labels that the corpus cannot have: terms of Open-i's indexer, or curated labels.

    >>> check_sources({"corpus": "table", "open_source": "simulated"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    radbook.core.errors.RadbookError: open_source simulated needs curated labels of the open task, which a table cannot hold: ...
    """
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
    for name in ("choice_source", "open_source"):
        if values.get(name) == "chat" and not asked:
            raise RadbookError(f"{name} chat needs labels of a language model: add -p llm_teacher chat")
