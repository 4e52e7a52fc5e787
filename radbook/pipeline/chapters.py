"""The chapters, which of the run folder's files each reads and writes, and whether what a run holds of them is up to date.

A run's `manifest.json` keeps a record of every finished chapter: its parameters and the digests of its notebook, of the
code of radbook that the notebook imports, of the tables it read, of other files its parameters name, and of what it wrote.
The chapter is up to date while all of that is as it was; `radbook run`, `radbook book` and publishing ask this one question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radbook.core.errors import RadbookError
from radbook.pipeline.fingerprints import file_digest, library_digest, path_digest, tree_digest
from radbook.pipeline.parameters import public_value
from radbook.pipeline.run import LABEL_KINDS, Run

__all__ = ["CHAPTERS", "Chapter", "inputs", "outputs", "require_up_to_date", "stale_chapters", "why_stale"]


@dataclass(frozen=True)
class Chapter:
    """A notebook's name and the files of the run folder it reads and writes."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def notebook(self) -> str:
        """Where the notebook lies in the project, and its executed copy in a run folder."""
        return f"notebooks/{self.name}.ipynb"


_LABELS = tuple(f"labels/{kind}.parquet" for kind in LABEL_KINDS)
_CURATED, _INDEXER, _KEYWORDS, _RULES, _CHAT, _SIMULATED = _LABELS
_ADAPTER = "student/adapter/adapter_model.safetensors"
_TRAINED = ("instructions.parquet", _ADAPTER, "predictions.parquet")

CHAPTERS = (
    Chapter("01_reports", (), ("reports.parquet", _CURATED, _INDEXER)),
    Chapter("02_rule_labels", ("reports.parquet", _CURATED), (_KEYWORDS, _RULES)),
    Chapter("03_llm_labels", ("reports.parquet", _CURATED), (_CHAT, _SIMULATED, "predictions_asked.parquet")),
    Chapter("04_label_quality", ("reports.parquet", *_LABELS), ("scores_teachers.parquet",)),
    Chapter("05_instructions", ("reports.parquet", *_LABELS), ("instructions.parquet",)),
    Chapter(
        "06_lora_finetuning",
        ("reports.parquet", _CURATED, _RULES, "instructions.parquet"),
        (_ADAPTER, "student/losses.parquet", "predictions.parquet"),
    ),
    Chapter("07_f1_analysis", ("reports.parquet", *_LABELS, *_TRAINED), ("scores.parquet",)),
    Chapter("08_ablations", (), ()),
    Chapter("09_errors", ("reports.parquet", *_LABELS, "instructions.parquet", "predictions.parquet"), ("errors.parquet",)),
)


def inputs(run: Run, chapter: Chapter, parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the digests of what a chapter is made from, as its record holds them; `parameters` are its own."""
    source = run.project / chapter.notebook
    # Published sweeps may be published again; a checkout gives their files other times.
    sweeps = [f"results/{value}" for name, value in parameters.items() if name == "sweep" or name.endswith("_sweep")]
    named = {n: Path(str(v)) for n, v in parameters.items() if n.endswith("_path") or n == "base_model"}
    return {
        "notebook": file_digest(source),
        "library": library_digest(source) if source.is_file() else "",
        "files": {folder: tree_digest(run.project / folder) for folder in sweeps}
        | {f"{n} {public_value(str(p))}": path_digest(p) for n, p in named.items() if p.is_absolute()},
        "reads": {file: file_digest(run.path / file) for file in chapter.reads},
    }


def outputs(run: Run, chapter: Chapter) -> dict[str, object]:
    """Return the digests of what a chapter left in the run folder, as its record holds them."""
    return {
        "executed": file_digest(run.path / chapter.notebook),
        "writes": {file: file_digest(run.path / file) for file in chapter.writes},
    }


def why_stale(run: Run, chapter: Chapter, parameters: Mapping[str, object]) -> str:
    """Return why a chapter of a run that should have these parameters has to be executed (again); "" if it is up to date."""
    record = run.manifest().get("chapters", {}).get(chapter.name)
    if record is None or not (run.path / chapter.notebook).is_file():
        return "not finished"
    try:
        then = _named(record, chapter)
        now = _named(inputs(run, chapter, record["parameters"]) | outputs(run, chapter), chapter)
        for name, value in record["parameters"].items():
            if parameters.get(name) != value:
                return f"was executed with {name} {value!r}, but the run now has {parameters.get(name)!r}"
    except (KeyError, TypeError, AttributeError):
        return "its record in manifest.json is damaged, or of another version of radbook"
    changed = next((name for name in {**then, **now} if now.get(name) != then.get(name)), "")
    return changed and f"{changed} has changed since"


def stale_chapters(run: Run, chapters: Sequence[Chapter] = CHAPTERS) -> dict[str, str]:
    """Return the chapters of a run that cannot be shown as they are, each with the reason.

    That is: those never finished, those whose notebook, code, input or output has changed since, and those executed with
    another value than the run names now, as one chapter executed alone may leave behind.
    """
    parameters = run.manifest().get("parameters", {})
    reasons = {chapter.name: why_stale(run, chapter, parameters) for chapter in chapters}
    return {name: why for name, why in reasons.items() if why}


def require_up_to_date(run: Run, chapters: Sequence[Chapter] = CHAPTERS) -> None:
    """Refuse a run whose chapters are not all finished and up to date, with the command that makes them so."""
    manifest = run.manifest()
    if not manifest:
        raise RadbookError(f"run {run.name} does not exist: execute it with radbook run --run {run.name}")
    for name, why in stale_chapters(run, chapters).items():
        mend = f"radbook run {manifest.get('profile', 'default')} --run {run.name} (and the -p it had)"
        raise RadbookError(f"run {run.name}, {name}: {why}; bring it up to date with {mend}")


def _named(record: Mapping, chapter: Chapter) -> dict[str, str]:
    """Return the digests of a record under the names that messages give to what they are of."""
    return {
        chapter.notebook: record["notebook"],
        "the code of radbook that it imports": record["library"],
        "its executed notebook": record["executed"],
        **record["files"],
        **record["reads"],
        **record["writes"],
    }
