import json
import random

import pytest

from radbook.errors import RadbookError
from radbook.schema import finding
from radbook.student import Student
from radbook.student.base import load_tokenizer
from radbook.student.examples import CHUNK, batches, make_examples, mask_words
from radbook.student.pretrain import pretrain

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
    assert first["grammar"] in card and json.dumps(first, indent=1) in card
    student = Student.untuned(str(tmp_path / "a"))
    assert student.style == "short" and student.model()[0].config.hidden_size == 32


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
    seen, rows, shapes = set(), 0, set()
    while rows < 1.5 * CHUNK:
        batch = next(stream)
        real = batch["ids"][(batch["kind"] > 0).any(1)]
        rows += len(real)
        seen |= {tuple(row) for row in real.tolist()}
        shapes.add(tuple(batch["ids"].shape))
    assert len(seen) > 0.9 * rows  # only short reports ("Normal chest.") may come twice
    assert all(height % 8 == 0 and width % 16 == 0 for height, width in shapes)


def test_masking_spares_phrases_negations_and_hedges():
    text = "There is possibly no large pleural effusion on the left side today."
    kept = {"possibly", "no", "pleural", "effusion"}
    for seed in range(50):
        masked = mask_words(text, [finding("J90", phrase="pleural effusion")], random.Random(seed))
        assert kept <= set(masked.split())
        assert len(masked.split()) == len(text.split())


@pytest.mark.parametrize(
    ("change", "message"), [({"steps": -1}, "steps is -1"), ({"heads": 5}, "cannot be divided into 5 heads")]
)
def test_bad_parameters_are_refused(tmp_path, change, message):
    with pytest.raises(RadbookError, match=message):
        pretrain(tmp_path, **{**SMALL, **change})
