"""Rule teacher against medspaCy on the same reports and lexicon: reports per CPU second, and micro-F1 beside it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from medspacy_lexicon import export
from rounds import Worker, in_turn

from radbook.core.findings import finding, label_row
from radbook.corpora import load_corpus
from radbook.corpora.sections import report_body
from radbook.evaluation import score

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "medspacy-requirements.txt"
VENV = HERE.parent / "build" / "medspacy-venv"
OURS = {
    "corpus": "rules, as a corpus",
    "distinct": "rules, no sentence twice",
    "single": "rules, one report a call",
}
THEIRS = {
    "phrases": "medspaCy, phrases",
    "patterns": "medspaCy, phrases and patterns",
    "sentencizer": "medspaCy, phrases, sentencizer",
}
NAMES = OURS | THEIRS
RATIOS = [*((us, "phrases") for us in OURS), ("corpus", "patterns"), ("corpus", "sentencizer")]


def python_of(venv: Path) -> Path:
    """Return the interpreter of an environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_installed(venv: Path = VENV, requirements: Path = REQUIREMENTS) -> bool:
    """Say whether an environment was built from the requirements as they are now."""
    ready = venv / "ready.txt"
    return ready.is_file() and ready.read_text() == requirements.read_text()


def install(venv: Path = VENV, requirements: Path = REQUIREMENTS) -> str:
    """Build medspaCy's environment; return "" or, in one line, what went wrong."""
    pip = "-m pip install --quiet --no-input --disable-pip-version-check --timeout 15 --retries 1 -r"
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(python_of(venv)), *pip.split(), str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            return f"cannot install medspaCy: {said[-1] if said else 'no word why'}"
        (venv / ".gitignore").write_text("*\n")
    (venv / "ready.txt").write_text(requirements.read_text())
    return ""


def measure(
    corpus: str, *, path: str | None = None, n_reports: int | None = None, rounds: int = 3
) -> list[tuple[str, float, str]]:
    """Label the bodies of one corpus with both in turn, each in one thread; rates are medians over the rounds."""
    reports, curated = load_corpus(corpus, path=path, n_reports=n_reports, seed=1)
    bodies = reports.assign(text=[report_body(text) for text in reports["text"]])
    bodies = bodies[bodies["text"] != ""]
    with tempfile.TemporaryDirectory() as folder:
        lexicon, lines = Path(folder, "lexicon.json"), Path(folder, "reports.jsonl")
        lexicon.write_text(json.dumps(export()), encoding="utf-8")
        bodies[["report_id", "text"]].to_json(lines, orient="records", lines=True)
        with (
            Worker(sys.executable, HERE / "label_rules.py", lines) as ours,
            Worker(python_of(VENV), HERE / "label_medspacy.py", lexicon, lines) as theirs,
        ):
            asked = [*((ours, way) for way in OURS), *((theirs, way) for way in THEIRS)]
            ways = in_turn(asked, rounds=rounds)
    of = dict(zip(NAMES, ways, strict=True))
    rate = {way: len(bodies) / of[way]["cpu"] for way in NAMES}
    wall = {way: len(bodies) / of[way]["wall"] for way in ("corpus", "phrases")}
    f1 = {way: _micro_f1(of[way]["answer"], reports, curated) for way in ("corpus", *THEIRS)}
    where = f"{corpus}, {len(bodies):,} bodies"
    return [
        *((f"{NAMES[way]}, {where}", value, "reports/CPU s") for way, value in rate.items()),
        *((f"{NAMES[way]}, {where}", value, "reports/s (clock)") for way, value in wall.items()),
        *((f"{NAMES[us]} / {NAMES[them]}", rate[us] / rate[them], "times as fast") for us, them in RATIOS),
        *((f"{NAMES[way]}, {where}", value, "micro-F1") for way, value in f1.items()),
    ]


def _micro_f1(present: dict[str, list[str]], reports: pd.DataFrame, curated: pd.DataFrame) -> float:
    rows = [
        label_row(report, "benchmark", "choice", [finding(code) for code in present.get(report, ())])
        for report in reports["report_id"]
    ]
    scores = score(curated, pd.DataFrame(rows), task="choice", reports=reports, n_bootstrap=40)
    return float(scores.set_index(["label", "metric"])["value"]["micro", "f1"])
