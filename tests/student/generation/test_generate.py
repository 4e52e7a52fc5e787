from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from radbook.core.errors import RadbookError
from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student.generation import generate as engines
from radbook.student.generation.generate import generate, sees_everything, shared_prefix
from radbook.student.prompts import encode_prompts
from radbook.tasks import CHOICE, OPEN, STYLES, TASKS

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
IDS = {"vocab_size": 3072, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
FALLBACK = "transformers writes the replies: "


@pytest.fixture(scope="module")
def bodies():
    reports, _ = generate_reports(40, style="cohort", seed=5)
    return list(dict.fromkeys(report_body(t) for t in reports["text"]))


@pytest.fixture(scope="module")
def adapted(loaded):
    """The base with an adapter that has something to say: its weights start as zeros."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(deepcopy(loaded[0]), LoraConfig(r=4, target_modules="all-linear")).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    return model, loaded[1]


def one_at_a_time(model, tokenizer, prompts, **options):
    """The reference: `model.generate` of transformers for each prompt alone."""
    import torch

    replies = []
    for ids in encode_prompts(tokenizer, prompts):
        tokens = torch.tensor([ids])
        written = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), do_sample=False, **options
        )
        replies.append(tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True).strip())
    return replies


def without_engine(monkeypatch):
    monkeypatch.setattr(engines, "_engine", lambda *_: (None, "none is wanted"))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", TASKS)
def test_replies_are_those_of_plain_generate(loaded, bodies, name, style, monkeypatch):
    prompts = [TASKS[name].prompt(b, style) for b in bodies[:26]]
    reference = one_at_a_time(*loaded, prompts, max_new_tokens=50)
    assert len(set(reference)) > 5
    lines = []
    assert generate(*loaded, prompts, max_new_tokens=50, batch_size=10, progress=lines.append) == reference
    assert not [line for line in lines if line.startswith(FALLBACK)], "CTranslate2 should have written"
    without_engine(monkeypatch)
    assert generate(*loaded, prompts, max_new_tokens=50, batch_size=10) == reference


@pytest.mark.parametrize("style", STYLES)
def test_an_adapter_writes_the_same_merged_or_not(adapted, loaded, bodies, style):
    model, tokenizer = adapted
    prompts = [OPEN.prompt(b, style) for b in bodies[:12]]
    reference = one_at_a_time(model, tokenizer, prompts, max_new_tokens=12)
    assert reference != one_at_a_time(*loaded, prompts, max_new_tokens=12)
    lines = []
    assert generate(model, tokenizer, prompts, max_new_tokens=12, progress=lines.append) == reference
    assert lines[0].startswith(FALLBACK) and "merged" in lines[0]
    merged, lines = deepcopy(model).merge_and_unload(), []
    assert generate(merged, tokenizer, prompts, max_new_tokens=12, progress=lines.append) == reference
    assert lines[0].startswith("12 of 12 replies")


def random_model(kind):
    import torch
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config

    torch.manual_seed(0)
    shared = {**SMALL, **IDS, "num_key_value_heads": 2}
    rope = {"rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = {
        "grouped heads": LlamaConfig(**shared),
        "another rotation": LlamaConfig(
            **shared, rope_parameters={"rope_type": "default", "rope_theta": 100.0}
        ),
        "stretched rotation": LlamaConfig(
            **shared, rope_parameters={"rope_type": "llama3", "original_max_position_embeddings": 64, **rope}
        ),
        "wide heads": LlamaConfig(**shared, head_dim=16),
        "a head of its own": LlamaConfig(**shared, tie_word_embeddings=False),
        "biases": Qwen2Config(**shared),
        "no window": MistralConfig(**shared, sliding_window=None),
        "window": MistralConfig(**shared, sliding_window=16),
        "gpt2": GPT2Config(n_layer=2, n_head=2, n_embd=32, **IDS),
    }[kind]
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # As they start, norms are ones and logits are nearly alike, which would hide a part that is left out.
            weight.uniform_(0.5, 1.5) if "norm" in name else weight.mul_(8)
    return model


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("grouped heads", True),
        ("another rotation", True),
        ("stretched rotation", True),
        ("wide heads", True),
        ("a head of its own", True),
        ("biases", True),
        ("no window", True),
        ("window", False),
        ("gpt2", False),
    ],
)
def test_other_models_write_what_plain_generate_writes(loaded, bodies, kind, shares, monkeypatch):
    model, tokenizer = random_model(kind), loaded[1]
    assert sees_everything(model) is shares
    prompts = [CHOICE.prompt(b, "full") for b in bodies[:5]]
    reference = one_at_a_time(model, tokenizer, prompts, max_new_tokens=8)
    assert generate(model, tokenizer, prompts, max_new_tokens=8, batch_size=3) == reference
    without_engine(monkeypatch)
    assert generate(model, tokenizer, prompts, max_new_tokens=8, batch_size=3) == reference


@pytest.mark.parametrize(("kind", "reason"), [("window", "mistral"), ("gpt2", "gpt2")])
def test_a_model_that_transformers_must_write_for_is_named_in_one_line(loaded, bodies, kind, reason):
    lines = []
    generate(
        random_model(kind), loaded[1], [CHOICE.prompt(bodies[0])], max_new_tokens=2, progress=lines.append
    )
    assert len(lines) == 2 and lines[0].startswith(FALLBACK) and reason in lines[0]
    assert lines[1].startswith("1 of 1 replies")


def test_an_engine_that_computes_something_else_is_not_used(loaded, bodies, monkeypatch):
    import torch

    model, tokenizer = random_model("grouped heads"), loaded[1]
    convert = engines._convert

    def convert_another(model, tokenizer):
        other = deepcopy(model)
        with torch.no_grad():
            other.model.layers[1].self_attn.q_proj.weight.mul_(1.1)
        return convert(other, tokenizer)

    monkeypatch.setattr(engines, "_convert", convert_another)
    prompts, lines = [CHOICE.prompt(b) for b in bodies[:5]], []
    replies = generate(model, tokenizer, prompts, max_new_tokens=8, progress=lines.append)
    assert "computes something else" in lines[0]
    assert replies == one_at_a_time(model, tokenizer, prompts, max_new_tokens=8)


def test_weights_that_have_changed_are_those_that_write(loaded, bodies):
    import torch

    model, prompts = random_model("a head of its own"), [CHOICE.prompt(b) for b in bodies[:4]]
    before = generate(model, loaded[1], prompts, max_new_tokens=8)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
    after = generate(model, loaded[1], prompts, max_new_tokens=8)
    assert before != after == one_at_a_time(model, loaded[1], prompts, max_new_tokens=8)


def test_nothing_is_left_on_the_disk(loaded, bodies, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    generate(deepcopy(loaded[0]), loaded[1], [CHOICE.prompt(bodies[0])], max_new_tokens=2)
    assert list(Path(tmp_path).iterdir()) == []


def test_replies_do_not_depend_on_the_batch_and_a_prompt_may_come_twice(loaded, bodies):
    prompts = [OPEN.prompt(b) for b in bodies[:20]] * 2
    alone = [generate(*loaded, [p], max_new_tokens=40)[0] for p in prompts[:20]]
    assert generate(*loaded, prompts, max_new_tokens=40, batch_size=7) == alone * 2


@pytest.mark.parametrize("engine", [True, False])
def test_every_end_token_of_the_model_ends_a_reply(loaded, bodies, engine, monkeypatch):
    model, tokenizer = deepcopy(loaded[0]), loaded[1]
    prompts = [OPEN.prompt(b) for b in bodies[:20]]
    whole = one_at_a_time(model, tokenizer, prompts, max_new_tokens=40)
    written = [token for reply in whole for token in tokenizer(" " + reply)["input_ids"][2:-2]]
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, max(set(written), key=written.count)]
    reference = one_at_a_time(model, tokenizer, prompts, max_new_tokens=40)
    assert sum(reply != other for reply, other in zip(reference, whole, strict=True)) > 5
    if not engine:
        without_engine(monkeypatch)
    assert generate(model, tokenizer, prompts, max_new_tokens=40) == reference


def test_a_reply_ends_at_the_end_token_and_keeps_no_special_token(loaded):
    reply = generate(*loaded, [CHOICE.prompt("The lungs are clear.")], max_new_tokens=100)[0]
    assert reply.endswith("]")
    assert "</s>" not in reply and "<pad>" not in reply


@pytest.mark.parametrize("most", [1, 2, 9])
@pytest.mark.parametrize("style", STYLES)
def test_max_new_tokens_cuts_where_plain_generate_cuts(loaded, bodies, most, style):
    prompts = [OPEN.prompt(b, style) for b in bodies[:12]]
    reference = one_at_a_time(*loaded, prompts, max_new_tokens=most)
    assert generate(*loaded, prompts, max_new_tokens=most, batch_size=5) == reference


def test_progress_counts_every_prompt_and_nothing_is_asked_of_nothing(loaded, bodies):
    lines = []
    prompts = [CHOICE.prompt(b) for b in [*bodies[:5], bodies[0]]]
    generate(*loaded, prompts, max_new_tokens=4, batch_size=2, progress=lines.append)
    assert lines[-1].startswith("6 of 6 replies, ") and lines[-1].endswith("/s, 0 s left")
    assert generate(*loaded, []) == []


@pytest.mark.parametrize("name", ["max_new_tokens", "batch_size"])
def test_bad_options_are_refused_by_name(loaded, name):
    with pytest.raises(RadbookError, match=name):
        generate(*loaded, ["a"], **{name: 0})


def test_a_bad_option_is_refused_with_its_own_value(loaded):
    with pytest.raises(RadbookError, match="max_new_tokens is 0: "):
        generate(*loaded, ["a"], max_new_tokens=0, batch_size=-5)


def test_the_shared_prefix_leaves_each_prompt_a_token_of_its_own():
    assert shared_prefix([np.array([*range(60), 7]), np.array([*range(60), 8, 9])]) == list(range(60))
    assert shared_prefix([np.arange(60)] * 2) == list(range(59))
    assert shared_prefix([np.array([1, 2, 3]), np.array([2, 2, 3])]) == []


def test_torch_keeps_its_threads(loaded):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        generate(*loaded, [CHOICE.prompt("No acute disease.")], max_new_tokens=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
