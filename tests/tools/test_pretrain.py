"""How the packaged base was made, at sizes that take seconds."""

import functools
import json
import random
import re

import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding
from radbook.student import Student
from radbook.student.base import load_tokenizer
from tools.pretrain import data, loop
from tools.pretrain import pretrain as module
from tools.pretrain.__main__ import main
from tools.pretrain.data import CHUNK, REPLY, TEXT, batches, encode, mask_words, tasks, text
from tools.pretrain.pretrain import pretrain

SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2,
}  # fmt: skip
SMALL = {"steps": 3, "shape": SHAPE, "n_eval": 0}


@pytest.fixture(autouse=True, scope="module")
def quick_tokenizer():
    """Learned from fewer reports, anew for every base all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "build_tokenizer", functools.partial(module.build_tokenizer, n_reports=200))
        yield


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
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    monkeypatch.setattr(data, "CHUNK", 60)
    settings = SMALL | {"steps": 12}
    whole = pretrain(tmp_path / "whole", seed=5, **settings)

    class Killed(Exception):
        pass

    taken = []

    def step(*args):
        if len(taken) == 8:
            raise Killed
        taken.append(1)
        return one_step(*args)

    one_step = loop._step
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "_step", step)
        pretrain(tmp_path / "killed", seed=5, **settings)
    assert (tmp_path / "killed" / ".pretraining" / "state.pt").is_file()
    lines = []
    again = pretrain(tmp_path / "killed", seed=5, progress=lines.append, **settings)
    assert any(line.startswith("continuing from step") for line in lines)
    assert not (tmp_path / "killed" / ".pretraining").exists()
    assert again["tokens"] == whole["tokens"]
    first, second = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("source", "measured", "said"),
    [
        (text, {"nats"}, "It has read their text alone: no answers, no instructions, no codes."),
        (tasks, {"choice", "open"}, "so this base knows the tasks before any tuning"),
    ],
)
def test_the_card_says_what_was_read_and_what_it_brought(tmp_path, source, measured, said):
    card = pretrain(tmp_path / "mine", source=source, **{**SMALL, "n_eval": 4})
    assert set(card["scores"]) == {"general", "cohort"} and set(card["scores"]["cohort"]) == measured
    shown = (tmp_path / "mine" / "README.md").read_text()
    assert shown.startswith("# The base mine\n") and said in shown and "| general |" in shown


def test_each_report_becomes_one_example_that_ends_with_its_reply():
    tokenizer = load_tokenizer("tiny-taught")
    examples = encode(tokenizer, tasks(50, 1))
    assert 40 <= len(examples) <= 50
    for ids, prompt in examples:
        head, reply = tokenizer.decode(ids[:prompt]), tokenizer.decode(ids[prompt:])
        assert head.startswith(("<s>choice\n", "<s>open\n")) and head.endswith("\nfindings:")
        assert reply.startswith(" [") and reply.endswith("]</s>")


def test_batches_hold_every_report_once_and_are_narrow():
    tokenizer = load_tokenizer("tiny-taught")
    made = encode(tokenizer, tasks(CHUNK, 7))
    found = list(batches(tokenizer, tasks, seed=7, n_tokens=6144))
    rows = [tuple(row[row != 0].tolist()) for ids, _ in found for row in ids]
    assert sorted(rows) == sorted(tuple(ids) for ids, _ in made)
    assert all(ids.shape == kind.shape and ids.numel() <= 6144 for ids, kind in found)
    widths = [ids.shape[1] for ids, _ in found]
    assert len(set(widths)) > 4 and all(width % 16 == 0 for width in widths) and widths != sorted(widths)
    assert sum(map(len, rows)) > 0.85 * sum(ids.numel() for ids, _ in found), "like length: little padding"
    short = list(batches(tokenizer, tasks, seed=7, n_tokens=6144, longest=40))
    assert short and max(ids.shape[1] for ids, _ in short) <= 48


def test_all_of_a_reply_is_learned_and_some_of_the_prompt():
    tokenizer = load_tokenizer("tiny-taught")
    prompts = {tuple(ids): prompt for ids, prompt in encode(tokenizer, tasks(CHUNK, 7))}
    read = []
    for ids, kind in batches(tokenizer, tasks, seed=7, n_tokens=6144):
        for row, kinds in zip(ids, kind, strict=True):
            whole = row[row != 0]
            prompt = prompts[tuple(whole.tolist())]
            assert (kinds[prompt : len(whole)] == REPLY).all() and (kinds[len(whole) :] == 0).all()
            assert (kinds[:prompt] != REPLY).all() and kinds[0] == 0
            read += (kinds[1:prompt] == TEXT).tolist()
    assert sum(read) / len(read) == pytest.approx(0.3, abs=0.01)


def test_text_alone_holds_no_prompt_no_answer_and_no_code():
    tokenizer = load_tokenizer("tiny-taught")
    for ids, prompt in encode(tokenizer, text(50, 1)):
        written = tokenizer.decode(ids)
        assert prompt == 1 and written.startswith("<s>") and written.endswith("</s>")
        assert not re.search(r"findings:\s*\[|\[|choice\n|open\n|\b[a-z]\d\d\.\d", written)
    ids, kind = next(batches(tokenizer, text, seed=7, n_tokens=6144))
    assert ((kind == REPLY) == (ids != 0))[:, 1:].all() and (kind[:, 0] == 0).all()


def test_masking_spares_phrases_negations_and_hedges():
    sentence = "There is possibly no large pleural effusion on the left side today."
    kept = {"possibly", "no", "pleural", "effusion"}
    for seed in range(50):
        masked = mask_words(sentence, [finding("J90", phrase="pleural effusion")], random.Random(seed))
        assert kept <= set(masked.split())
        assert len(masked.split()) == len(sentence.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"n_eval": -1}, "n_eval is -1"),
        ({"n_eval": 2, "eval_path": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(RadbookError, match=message):
        pretrain(tmp_path, **{**SMALL, **change})
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_of_others_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "README.md").write_text("my thesis")
    assert main(["--out", str(tmp_path)]) == 2
    assert "holds files that no pretraining has written: name another folder" in capsys.readouterr().err
    assert [p.read_text() for p in tmp_path.iterdir()] == ["my thesis"]


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys):
    assert main(["--out", str(tmp_path), "--openi", "nowhere.csv"]) == 2
    said = capsys.readouterr().err
    assert "nowhere.csv" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())
