"""The benchmark of the training runs, and the work it counts is that of the base."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_the_sides_train_the_same_thing(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from bench_training import SIDES, measure

    rows = measure(n_reports=30, rounds=1)
    assert all(math.isfinite(figure) and figure > 0 for _, figure, _ in rows)
    figures = {(name, unit): figure for name, figure, unit in rows}
    before, after = (
        [figures[f"loss {when}, {SIDES[s]}", "nats per trained token"] for s in SIDES]
        for when in ("before", "after")
    )
    assert before == pytest.approx([before[0]] * len(SIDES), rel=1e-4), "all start from the same model"
    assert after == pytest.approx([after[0]] * len(SIDES), rel=0.2)


def test_training_takes_four_operations_per_frozen_number_and_six_per_trained_one(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from transformers import AutoConfig
    from work import work_per_token

    from radbook.student.base import load_base, resolve_base

    TAUGHT = resolve_base("tiny-taught")[0]

    config = AutoConfig.from_pretrained(TAUGHT)
    model, _, _ = load_base("tiny-taught", backend="peft")
    layers = sum(p.numel() for n, p in model.named_parameters() if "layers" in n and p.dim() == 2)
    bare = work_per_token(config, length=100.0, trained=0.0, rank=0)
    assert bare == 4 * layers + 12 * config.num_hidden_layers * config.hidden_size * 100
    shapes = [m.in_features + m.out_features for n, m in model.named_modules() if n.endswith("q_proj")]
    tuned = work_per_token(config, length=100.0, trained=0.0, rank=8, targets=["q_proj"])
    assert tuned - bare == 6 * 8 * sum(shapes)


def test_tokens_of_the_first_step_which_is_not_timed_do_not_count(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from full_size import rows_timed

    from radbook.student.training.trainer import length_grouped

    lengths = [10] * 8 + [100] * 4
    timed = rows_timed(length_grouped(lengths, 4, seed=0), 4)
    assert sum(lengths[k] for k in timed) == 80


@pytest.mark.slow
def test_the_full_size_benchmark_runs_with_a_model_of_two_layers(tmp_path):
    out = tmp_path / "figures.json"
    command = [sys.executable, BENCHMARKS / "full_size.py", "--tiny", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    figures = json.loads(out.read_text())
    assert done.returncode == 0, figures
    assert figures["unsloth"]["first_loss"] == pytest.approx(figures["peft"]["first_loss"], rel=1e-3)
    for side in ("unsloth", "peft"):
        assert 0 < figures[side]["share_of_matrix_rate"] < 1
        assert figures[side]["tokens_per_second"] > 0 and figures[side]["memory_gib"] > 0
    assert figures["generation"]["replies_per_second"] > 0
    assert "share of matrix rate" in done.stdout
