"""Reading a sweep: what is missing is said, seeds are counted, and the arithmetic of a warm-up is the trainer's."""

import ast
import json
import math
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from radbook.compare.wei2024 import steps_of
from radbook.core.errors import RadbookError
from radbook.pipeline.sweep.table import MEASURED, curve_of, read_sweep, seeds_text, spread
from radbook.reporting import figures

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "08_ablations.ipynb"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """The functions that chapter 8 defines in its cells."""
    cells = [c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code"]
    defined = [node for source in cells for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    names = {"math": math, "pd": pd, "MEASURED": MEASURED, "curve_of": curve_of, "seeds_text": seeds_text, "steps_of": steps_of}
    exec(compile(ast.Module(defined, []), str(NOTEBOOK), "exec"), names)
    return names


@pytest.fixture(scope="module")
def loaded():
    """The packaged base and its tokenizer."""
    from radbook.student.base import load_base

    return load_base("tiny-taught", backend="peft")[:2]


def table(**columns) -> pd.DataFrame:
    """Two seeds of two ranks in one curve, student and teacher of both tasks, the student gaining with the rank."""
    rows = []
    for rank in (4, 16):
        for seed in (1, 2):
            for task in ("choice", "open"):
                known = {
                    "curve": "rank",
                    "run": f"s.{rank}.{seed}",
                    "seed": seed,
                    "task": task,
                    "lora_rank": rank,
                }
                f1 = 0.6 + 0.01 * rank + 0.02 * seed
                gap = {"difference": f1 - 0.7, "difference_low": f1 - 0.75, "difference_high": f1 - 0.65}
                rows.append({**known, "source": "student", "f1": f1, **gap})
                rows.append({**known, "source": "teacher", "f1": 0.7})
    made = pd.DataFrame(rows).assign(
        n_train=100, warmup=0.1, teacher="rules", seconds=1.0, n_test=9, **columns
    )
    return made.reindex(columns=[*dict.fromkeys([*MEASURED, *made])])


def test_mean_and_range_are_those_of_the_seeds():
    points = spread(table(), ["lora_rank"]).set_index(["task", "source", "lora_rank"])
    low, high, mean = points.loc[("open", "student", 16), ["low", "high", "value"]]
    assert (round(low, 3), round(high, 3), round(mean, 3)) == (0.78, 0.8, 0.79)
    assert points["seeds"].unique().tolist() == [2]


def test_seeds_are_counted_in_which_the_student_is_ahead_and_surely_so(chapter):
    found = chapter["ahead"](table(), "lora_rank", task="choice")
    assert found["above"].tolist() == [0, 2] and found["surely"].tolist() == [0, 2]


def test_a_gain_is_taken_within_each_seed_that_has_both(chapter):
    part, gains, over_seeds = table(), chapter["gains"], chapter["over_seeds"]
    lone = part["run"].eq("s.16.2") & part["task"].eq("choice")
    assert gains(part[~lone], "lora_rank", task="choice", first=4, last=16).round(3).to_dict() == {1: 0.12}
    assert over_seeds(gains(part, "lora_rank", task="open", first=4, last=16)) == "+0.120 (+0.120 to +0.120, 2 seeds)"
    assert over_seeds(gains(part, "lora_rank", task="open", first=4, last=99)) == "not known"
    missing = read_sweep(Path("nowhere"))[0]
    assert over_seeds(gains(missing, "lora_rank", task="open", first=0, last=0)) == "not known"


def test_a_curve_shows_what_it_varies_and_the_overview_counts_it(chapter):
    assert "warmup" not in curve_of(table(), "rank") and "lora_rank" in curve_of(table(), "rank")
    assert chapter["overview"](table()).loc["rank"].tolist() == ["lora_rank (2)", 4, "2"]
    assert curve_of(table(), "size").empty


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (1_000, {"warmup": 100}),
        (12_800, {"warmup": 100}),  # a training that ends with its warm-up
        (13_500, {"warmup": 100}),
        (13_500, {"warmup": 0.1}),
        (300, {"warmup": 0.25, "epochs": 2.5}),
        (301, {"warmup": 0.1, "epochs": 3.0, "batch_size": 16, "accumulation": 1}),
    ],
)
def test_the_arithmetic_of_a_warm_up_is_that_of_the_trainer(tmp_path, loaded, chapter, rows, settings):
    torch = pytest.importorskip("torch")
    from radbook.student.training.config import Settings
    from radbook.student.training.trainer import make_trainer

    settings = {"learning_rate": 3e-4, "epochs": 1, "batch_size": 2, "accumulation": 64, **settings}
    steps, warm, highest = chapter["highest_rate"](rows, settings)
    table = {"input_ids": [[1, 2]] * rows, "labels": [[-100, 2]] * rows}
    trainer = make_trainer(*loaded, table, tmp_path, Settings(**settings))
    *_, theirs = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    assert (steps, warm) == (theirs, trainer.args.get_warmup_steps(theirs))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings["learning_rate"])
    schedule, seen = trainer.create_scheduler(theirs, optimizer), []
    for _ in range(theirs):
        seen.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert highest == pytest.approx(max(seen))


def test_a_sweep_is_read_as_it_was_published_and_a_broken_one_is_named(tmp_path):
    folder = tmp_path / "mine"
    assert read_sweep(folder)[1] == {}
    folder.mkdir()
    table().to_csv(folder / "sweep.csv", index=False)
    with pytest.raises(RadbookError, match=r"the sweep in .*mine cannot be read"):
        read_sweep(folder)
    (folder / "sweep.json").write_text(json.dumps({"parameters": {}}))
    read, told = read_sweep(folder)
    assert len(read) == 16 and told == {"parameters": {}}


def test_text_of_a_sweep_is_read_as_it_was_written(tmp_path, chapter):
    made = pd.concat([table(label_column="").assign(curve="NA"), table(label_column="label").assign(curve="NA")])
    made.to_csv(tmp_path / "sweep.csv", index=False)
    (tmp_path / "sweep.json").write_text("{}")
    read, _ = read_sweep(tmp_path)
    assert chapter["overview"](read).loc["NA", "varied"] == "lora_rank (2), label_column (2)"
    points = spread(curve_of(read, "NA"), ["label_column"])
    assert set(points["label_column"]) == {"", "label"} and points["value"].dtype == float
    assert read["difference"].isna().sum() == read["source"].eq("teacher").sum()


def test_a_curve_of_one_value_keeps_its_parameter(tmp_path, chapter):
    one = table().query("lora_rank == 4")
    one.to_csv(tmp_path / "sweep.csv", index=False)
    (tmp_path / "sweep.json").write_text(json.dumps({"curves": {"rank": [{"lora_rank": [4], "seed": [1, 2]}]}}))
    read, _ = read_sweep(tmp_path)
    part = curve_of(read, "rank")
    assert "lora_rank" in part and "warmup" not in part
    assert chapter["overview"](read).loc["rank"].tolist() == ["", 2, "2"]
    drawn = figures.sweep_curve(spread(part, ["lora_rank"]), "lora_rank", log=True)
    assert [text.get_text() for text in drawn.axes[0].get_xticklabels()] == ["4"]


def test_figures_draw_every_task_and_setting():
    points = spread(table(), ["lora_rank"])
    drawn = figures.sweep_curve(points, "lora_rank", log=True)
    assert [ax.get_title() for ax in drawn.axes] == ["choice task", "open task"]
    assert [text.get_text() for text in drawn.axes[0].get_xticklabels()] == ["4", "16"]
    assert len(drawn.axes[0].lines) == 2  # student and teacher
    lines = figures.sweep_curve(points.assign(at=1), "at", lines="lora_rank")
    assert [text.get_text() for text in lines.legends[0].get_texts()][:2] == [
        "student, lora_rank 4", "student, lora_rank 16",
    ]  # fmt: skip
    named = figures.sweep_rows(points.assign(rank=points["lora_rank"].astype(str)).iloc[::-1], "rank")
    assert [text.get_text() for text in named.axes[0].get_yticklabels()] == ["16", "4"]
    with pytest.raises(RadbookError, match="sweep_curve: there is no point to draw"):
        figures.sweep_curve(points.iloc[:0], "lora_rank")
