"""What the book says about the run it shows: one line for every page, and the page "About this run"."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from radbook.book.sanitize import scrub
from radbook.compare.markdown import inline_code, markdown_table
from radbook.reporting.text import duration

__all__ = ["describe_run", "run_line"]


def run_line(manifest: Mapping) -> str:
    """Return the line under every page: run, profile, date, duration and machine.

    >>> chapter = {"finished": "2026-05-04T10:00:00+00:00", "seconds": 90.0}
    >>> machine = {"cores": 2, "memory_gib": 8.0, "gpus": []}
    >>> run_line({"run": "demo", "profile": "smoke", "hardware": machine, "chapters": {"01_a": chapter}})
    'Run demo, profile smoke, executed on 4 May 2026 in 1.5 minutes on 2 CPU cores.'
    """
    records = list(manifest["chapters"].values())
    last = datetime.fromisoformat(max(r["finished"] for r in records))
    machine = manifest["hardware"]
    where = ", ".join(machine["gpus"]) or f"{machine['cores']} CPU cores"
    spent = duration(sum(r["seconds"] for r in records))
    day = f"{last.day} {last:%B %Y}"
    return f"Run {manifest['run']}, profile {manifest['profile']}, executed on {day} in {spent} on {where}."


def describe_run(manifest: Mapping, chapters: Sequence, *, hidden: Mapping[str, str]) -> str:
    """Return the Markdown page "About this run": times, parameters, versions and hardware; paths in `hidden` are scrubbed."""
    machine = manifest["hardware"]
    records = manifest["chapters"]
    times = [(f"`{c.name}`", duration(records[c.name]["seconds"]), records[c.name]["finished"][:10]) for c in chapters]
    used = {name: [c.name[:2] for c in chapters if name in records[c.name]["parameters"]] for name in manifest["parameters"]}
    parameters = [
        (f"`{name}`", inline_code(scrub(str(value), hidden)), ", ".join(used[name]) or "none")
        for name, value in manifest["parameters"].items()
    ]
    hardware = [
        ("system", f"{machine['system']} on {machine['machine']}"),
        ("CPU cores", str(machine["cores"])),
        ("memory", f"{machine['memory_gib']} GiB"),
        ("GPU", ", ".join(machine["gpus"]) or "none"),
    ]
    versions = [("Python", manifest["python"]), ("radbook", manifest["radbook"]), *manifest["packages"].items()]
    return "\n".join(
        [
            "(about-this-run)=",
            "# About this run",
            "",
            run_line({**manifest, "profile": inline_code(manifest["profile"])}),
            "The numbers in these pages come from it, except where chapter 8 and the page of the paper's claims show "
            "published runs.",
            "What was already done is reused, such as a trained student or the small grid of chapter 8: a time below can be "
            "shorter than the one its chapter names.",
            "`manifest.json` in the run folder adds hashes of data and code.",
            "",
            *_section("Time per chapter", ("chapter", "time", "finished"), times),
            *_section("Parameters", ("name", "value", "chapters that use it"), parameters),
            *_section("Machine", ("part", "here"), hardware),
            *_section("Versions", ("package", "version"), versions),
        ]
    )


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {title}", "", *markdown_table(header, rows)]
