"""The README's figures are those of `results/`, and nothing else."""

from pathlib import Path

import pandas as pd

from radbook.publish import BEGIN, END, readme_block, update_readme

PROJECT = Path(__file__).parents[1]


def test_readme_shows_what_results_hold() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert BEGIN + text.partition(BEGIN)[2].partition(END)[0] + END == readme_block(PROJECT)


def test_published_tables_hold_figures_and_no_text() -> None:
    published = sorted(p.parent for p in (PROJECT / "results").glob("*/scores.csv"))
    assert published, "results/ is empty: run python -m radbook.publish default"
    for home in published:
        assert {p.name for p in home.glob("*")} == {"scores.csv", "differences.csv", "manifest.json"}
        words = pd.read_csv(home / "scores.csv", dtype=str)[["task", "source", "reference", "policy", "label", "metric"]]
        assert words.map(len).max().max() < 60


def test_update_fills_the_block(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"a\n{BEGIN}\nold\n{END}\nz\n", encoding="utf-8")
    folder = tmp_path / "results" / "r"
    folder.mkdir(parents=True)
    row = {"task": "choice", "source": "rules", "reference": "curated", "policy": "certain", "metric": "f1",
           "value": 0.5, "low": 0.25, "high": 0.75, "n_reports": 4, "n_patients": 4, "n_positive": 2}  # fmt: skip
    pd.DataFrame([{**row, "label": "micro"}, {**row, "label": "macro"}]).to_csv(folder / "scores.csv", index=False)
    empty = pd.DataFrame(columns=["task", "source", "reference", "policy", "value", "low", "high", "p"])
    empty.to_csv(folder / "differences.csv", index=False)
    (folder / "manifest.json").write_text('{"parameters": {"corpus": "synthetic"}}', encoding="utf-8")
    update_readme(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| synthetic | choice | rules | 0.500 (0.250 to 0.750) | 0.500 |  | 4 | r |" in text
    assert text.startswith("a\n") and text.endswith("\nz\n") and "old" not in text
