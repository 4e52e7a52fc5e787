"""Ways to train a student: both splits are scored, and answers belong to the student that gave them."""

import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import toyruns

from radbook.pipeline.run import open_run
from radbook.student import Student
from radbook.student.base import load_base

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = toyruns.make_project(tmp_path_factory.mktemp("methods"))
    toyruns.make_run(folder, "toy")
    return folder


@pytest.fixture
def methods(monkeypatch, project):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("RADBOOK_HOME", str(project))
    import methods

    return methods


# Other tests have imported what Unsloth changes, long before it is imported here.
@pytest.mark.filterwarnings("ignore:.*Unsloth should be imported before:UserWarning")
def test_each_way_is_scored_on_the_development_split_and_on_the_test_split(methods, capsys):
    figures = methods.measure("toy", ["untuned"])
    assert figures["split"].tolist() == ["dev", "dev", "test", "test"]
    assert figures["task"].tolist() == ["choice", "open"] * 2
    assert figures["f1"].map(math.isfinite).all()
    printed = capsys.readouterr().out
    assert "dev" in printed and "test" in printed


def test_answers_of_another_student_are_not_taken_for_those_of_this_one(methods, tmp_path):
    bench = methods.Bench(open_run("toy"))
    bench.held_out = bench.held_out.head(3)
    adapters = [random_adapter(tmp_path / str(seed), seed) for seed in (1, 2)]
    home = tmp_path / "adapter"

    def ask(adapter):
        shutil.copytree(adapter, home, dirs_exist_ok=True)
        student = Student("tiny-taught", source="student:way", style="short", adapter=home)
        return bench.answers("way", student), student

    (first, _), (second, student) = ask(adapters[0]), ask(adapters[1])
    assert first["reply"].tolist() != second["reply"].tolist()
    pd.testing.assert_frame_equal(second, student.label(bench.held_out))
    written = (bench.folder("way") / "held_out.parquet").stat().st_mtime_ns
    ask(adapters[1])
    assert (bench.folder("way") / "held_out.parquet").stat().st_mtime_ns == written, "read, not asked again"


def random_adapter(folder, seed):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    model = get_peft_model(load_base("tiny-taught", backend="peft")[0], LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return folder
