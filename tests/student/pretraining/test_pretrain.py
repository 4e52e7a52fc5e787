import json
import random

import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.corpora.synthetic import generate_reports
from radbook.evaluation import score
from radbook.student import Student
from radbook.student.base import load_tokenizer
from radbook.student.pretraining import data as examples
from radbook.student.pretraining.data import CHUNK, batches, make_examples, mask_words
from radbook.student.pretraining.model_card import score_base
from radbook.student.pretraining.pretrain import pretrain

SMALL = {"steps": 3, "hidden_size": 32, "layers": 1, "intermediate_size": 64, "heads": 2, "n_eval": 0}


def test_a_small_base_is_made_twice_the_same(tmp_path):
    lines = []
    first = pretrain(tmp_path / "a", seed=3, progress=lines.append, **SMALL)
    second = pretrain(tmp_path / "b", seed=3, **SMALL)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (
        tmp_path / "b" / "model.safetensors"
    ).read_bytes()
    assert first["steps"] == second["steps"] == 3
    assert "building the tokenizer" in lines
    card = (tmp_path / "a" / "README.md").read_text()
    assert first["grammar"] in card
    assert json.loads((tmp_path / "a" / "training.json").read_text()) == first
    student = Student.untuned(str(tmp_path / "a"))
    assert student.style == "short" and student.model()[0].config.hidden_size == 32


def test_a_killed_training_goes_on_and_ends_with_the_same_base(tmp_path, monkeypatch):
    from radbook.student.pretraining import loop

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    monkeypatch.setattr(examples, "CHUNK", 60)
    settings = SMALL | {"steps": 12, "n_eval": 2}
    whole = pretrain(tmp_path / "whole", seed=5, **settings)

    class Killed(Exception):
        pass

    def kill_at(step):
        def tell(number, entry):
            if number == step:
                raise Killed

        return tell

    lines = []
    snap = loop.train
    monkeypatch.setattr(loop, "train", lambda *a, **k: snap(*a, **{**k, "snap": kill_at(8)}))
    with pytest.raises(Killed):
        pretrain(tmp_path / "killed", seed=5, **settings)
    assert (tmp_path / "killed" / ".pretraining" / "state.pt").is_file()
    monkeypatch.setattr(loop, "train", snap)
    again = pretrain(tmp_path / "killed", seed=5, progress=lines.append, **settings)
    assert any(line.startswith("continuing from step") for line in lines)
    assert not (tmp_path / "killed" / ".pretraining").exists()
    assert again["tokens"] == whole["tokens"]
    first, second = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert first.read_bytes() == second.read_bytes()


def test_the_scores_grow_over_the_training_and_are_kept(tmp_path):
    card = pretrain(tmp_path, **{**SMALL, "steps": 10, "n_eval": 4})
    assert [set(entry) for entry in card["curve"]] == [{"minutes", "tokens", "general", "cohort"}] * 9
    assert sorted(entry["tokens"] for entry in card["curve"]) == [entry["tokens"] for entry in card["curve"]]
    assert card["curve"][-1]["tokens"] < card["tokens"]
    assert set(card["scores"]) == {"general", "cohort"}
    assert "| general |" in (tmp_path / "README.md").read_text()


def test_the_card_counts_as_the_book_does_and_only_the_reports_that_were_asked():
    reports, curated = generate_reports(30, style="cohort", seed=4)
    asked = reports.head(12)
    card = score_base("tiny", {"cohort": (asked, curated)})
    answers = Student.untuned("tiny").label(asked).drop(columns="reply")
    for task in ("choice", "open"):
        found = score(curated, answers, task=task, reports=asked, n_bootstrap=40)
        micro = found.set_index(["label", "metric"]).loc[("micro", "f1"), "value"]
        assert card["cohort"][task] == pytest.approx(micro, abs=5e-4)


def test_each_report_becomes_one_example_that_ends_with_its_reply():
    tokenizer = load_tokenizer("tiny")
    examples = make_examples(tokenizer, 50, 1)
    assert 40 <= len(examples) <= 50
    for ids, prompt in examples:
        head, reply = tokenizer.decode(ids[:prompt]), tokenizer.decode(ids[prompt:])
        assert head.startswith(("<s>choice\n", "<s>open\n")) and head.endswith("\nfindings:")
        assert reply.startswith(" [") and reply.endswith("]</s>")


def test_no_batch_repeats_an_earlier_one():
    stream = batches(load_tokenizer("tiny"), 0, 20_000)
    seen, rows, widths = set(), 0, set()
    while rows < 1.5 * CHUNK:
        batch = next(stream)
        assert batch["ids"].shape == batch["kind"].shape == (20_000,)
        whole = 20_000 // batch["width"] * batch["width"]
        ids = batch["ids"][:whole].view(-1, batch["width"])
        ids = ids[ids[:, 0] != 0]
        assert (ids != 0).sum() == (batch["ids"] != 0).sum() == batch["tokens"]
        rows += len(ids)
        seen |= {tuple(row) for row in ids.tolist()}
        widths.add(batch["width"])
    assert len(seen) > 0.9 * rows  # only short reports ("Normal chest.") may come twice
    assert len(widths) > 4 and all(width % 16 == 0 for width in widths)


def test_short_examples_can_come_first():
    limits = iter([40, 40, 2000])
    stream = batches(load_tokenizer("tiny"), 0, 6000, longest=lambda: next(limits, 2000))
    widths = [next(stream)["width"] for _ in range(40)]
    assert widths[0] <= 48 < max(widths)


def test_the_packed_forward_pass_is_that_of_the_model():
    import torch

    from radbook.student.base import load_base
    from radbook.student.pretraining.packed_llama import PackedLlama

    model, tokenizer, _ = load_base("tiny", backend="peft")
    batch = next(batches(tokenizer, 5, 2048))
    packed = PackedLlama(model, 2048, dtype=torch.float32, compiled=False)
    width, rows = batch["width"], 2048 // batch["width"]
    with torch.no_grad():
        ours = packed.logits(packed.hidden(batch["ids"], width)[: rows * width])
        theirs = model(input_ids=batch["ids"][: rows * width].view(rows, width)).logits.flatten(0, 1)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)


def test_masking_spares_phrases_negations_and_hedges():
    text = "There is possibly no large pleural effusion on the left side today."
    kept = {"possibly", "no", "pleural", "effusion"}
    for seed in range(50):
        masked = mask_words(text, [finding("J90", phrase="pleural effusion")], random.Random(seed))
        assert kept <= set(masked.split())
        assert len(masked.split()) == len(text.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"heads": 5}, "cannot be divided into 5 heads"),
        ({"n_eval": -1}, "n_eval is -1"),
        ({"n_eval": 2, "eval_path": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(RadbookError, match=message):
        pretrain(tmp_path, **{**SMALL, **change})
    assert not list(tmp_path.iterdir())
