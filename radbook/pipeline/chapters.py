"""The chapters: which reads and writes what in a run folder, and which of a run still fit together.

Executing them is `radbook.pipeline.runner`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radbook.pipeline.fingerprints import file_digest, sweep_digest
from radbook.pipeline.run import Run

__all__ = ["CHAPTERS", "Chapter", "executed_notebook", "stale_chapters"]


@dataclass(frozen=True)
class Chapter:
    """A notebook's name and the files of the run folder it reads and writes."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


_CURATED, _RULES, _CHAT, _SIMULATED = (f"labels/{kind}.parquet" for kind in ("curated", "rules", "chat", "simulated"))
_LABELS = (_CURATED, _RULES, _CHAT, _SIMULATED)

CHAPTERS = (
    Chapter("01_reports", (), ("reports.parquet", _CURATED)),
    Chapter("02_rule_labels", ("reports.parquet", _CURATED), (_RULES,)),
    Chapter("03_llm_labels", ("reports.parquet", _CURATED), (_CHAT, _SIMULATED)),
    Chapter("04_label_quality", ("reports.parquet", *_LABELS), ("scores_teachers.parquet",)),
    Chapter("05_instructions", ("reports.parquet", *_LABELS), ("instructions.parquet",)),
    Chapter(
        "06_lora_finetuning",
        ("reports.parquet", _CURATED, _RULES, "instructions.parquet"),
        ("student/adapter/adapter_model.safetensors", "student/losses.parquet", "predictions.parquet"),
    ),
    Chapter(
        "07_f1_analysis",
        (
            "reports.parquet",
            *_LABELS,
            "instructions.parquet",
            "student/adapter/adapter_model.safetensors",
            "predictions.parquet",
        ),
        ("scores.parquet",),
    ),
    Chapter("08_ablations", (), ()),
    Chapter("09_errors", ("reports.parquet", *_LABELS, "instructions.parquet", "predictions.parquet"), ("errors.parquet",)),
)


def stale_chapters(run: Run, chapters: Sequence[Chapter] = CHAPTERS) -> dict[str, str]:
    """Return the chapters of a run that cannot be shown as they are, each with the reason.

    That is: those never finished, those whose notebook, a table they read or a published sweep they show has changed
    since, and those executed with another value than the run names now, as one chapter executed alone may leave behind.
    """
    manifest, reasons = run.manifest(), {}
    for chapter in chapters:
        record = manifest.get("chapters", {}).get(chapter.name)
        if record is None or not executed_notebook(run, chapter).is_file():
            reasons[chapter.name] = "not finished"
            continue
        reason = _reason(run, chapter, record, manifest["parameters"])
        if reason:
            reasons[chapter.name] = reason
    return reasons


def _reason(run: Run, chapter: Chapter, record: Mapping, parameters: Mapping[str, object]) -> str:
    """Return why a finished chapter no longer fits its run; "" if it does."""
    notebook = f"notebooks/{chapter.name}.ipynb"
    sweeps = record.get("sweeps", {})  # an older version did not record them
    then = {notebook: record["notebook"], **record["reads"], **sweeps}
    now = {notebook: file_digest(run.project / notebook)}
    now |= {f: file_digest(run.path / f) for f in record["reads"]} | {f: sweep_digest(run.project / f) for f in sweeps}
    changed = next((f for f, digest in then.items() if now[f] != digest), None)
    if changed:
        return f"{changed} has changed since"
    for name, value in record["parameters"].items():
        if parameters.get(name) != value:
            return f"was executed with {name} {value!r}, but the run now has {parameters.get(name)!r}"
    return ""


def executed_notebook(run: Run, chapter: Chapter) -> Path:
    """Return where the run folder holds the executed notebook of a chapter."""
    return run.path / "notebooks" / f"{chapter.name}.ipynb"
