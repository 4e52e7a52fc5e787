import importlib
import importlib.util

import pytest

from radbook.core.errors import RadbookError
from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student.generation.generate import generate, shared_prefix, worth_vllm
from radbook.student.generation.kv_cache import Memory, can_share
from radbook.student.prompts import encode_prompts
from radbook.tasks import CHOICE, OPEN, STYLES, TASKS

module = importlib.import_module("radbook.student.generation.generate")  # its name in the package is the function's
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def bodies():
    reports, _ = generate_reports(40, style="cohort", seed=5)
    return list(dict.fromkeys(report_body(t) for t in reports["text"]))


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


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", TASKS)
def test_replies_are_those_of_plain_generate(loaded, bodies, name, style):
    prompts = [TASKS[name].prompt(b, style) for b in bodies[:26]]
    reference = one_at_a_time(*loaded, prompts, max_new_tokens=50)
    assert generate(*loaded, prompts, max_new_tokens=50, batch_size=10) == reference
    assert len(set(reference)) > 5


def random_model(kind):
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )  # fmt: skip

    torch.manual_seed(0)
    shared = {**SMALL, "vocab_size": 3072, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if kind == "grouped heads":
        return LlamaForCausalLM(LlamaConfig(**shared, num_key_value_heads=2))
    if kind == "biases":
        return Qwen2ForCausalLM(Qwen2Config(**shared, num_key_value_heads=1))
    window = {"no window": None, "window": 16}[kind]
    return MistralForCausalLM(MistralConfig(**shared, num_key_value_heads=2, sliding_window=window))


@pytest.mark.parametrize(
    ("kind", "shares"),
    [("grouped heads", True), ("biases", True), ("no window", True), ("window", False)],
)
def test_other_models_write_what_plain_generate_writes(loaded, bodies, kind, shares):
    model, tokenizer = random_model(kind).eval(), loaded[1]
    assert can_share(model) is shares
    prompts = [CHOICE.prompt(b, "full") for b in bodies[:5]]
    before = model.config._attn_implementation
    replies = generate(model, tokenizer, prompts, max_new_tokens=8, batch_size=3)
    assert model.config._attn_implementation == before
    assert replies == one_at_a_time(model, tokenizer, prompts, max_new_tokens=8)


def test_replies_do_not_depend_on_the_batch_and_a_prompt_may_come_twice(loaded, bodies):
    prompts = [OPEN.prompt(b) for b in bodies[:20]] * 2
    alone = [generate(*loaded, [p], max_new_tokens=40)[0] for p in prompts[:20]]
    assert generate(*loaded, prompts, max_new_tokens=40, batch_size=7) == alone * 2


def test_a_reply_ends_at_the_end_token_and_keeps_no_special_token(loaded):
    reply = generate(*loaded, [CHOICE.prompt("The lungs are clear.")], max_new_tokens=100)[0]
    assert reply.endswith("]")
    assert "</s>" not in reply and "<pad>" not in reply


def test_max_new_tokens_cuts(loaded, bodies):
    model, tokenizer = loaded
    reply = generate(model, tokenizer, [OPEN.prompt(bodies[0])], max_new_tokens=2)[0]
    assert len(tokenizer(" " + reply)["input_ids"]) <= 2


@pytest.mark.parametrize("most", [1, 2, 3, 6, 9])
def test_a_guess_that_is_right_does_not_write_past_the_end(loaded, bodies, most):
    prompts = [OPEN.prompt(b) for b in bodies[:12]]
    reference = one_at_a_time(*loaded, prompts, max_new_tokens=most)
    assert generate(*loaded, prompts, max_new_tokens=most, batch_size=2) == reference


@pytest.mark.parametrize("guess", ["none", "a wrong token", "the end of the reply"])
def test_no_guess_changes_a_reply(loaded, bodies, monkeypatch, guess):
    prompts = [OPEN.prompt(b) for b in bodies[:12]]
    replies = generate(*loaded, prompts, max_new_tokens=40, batch_size=5)
    token = {"none": None, "a wrong token": 77, "the end of the reply": loaded[1].eos_token_id}[guess]
    monkeypatch.setattr(module.Drafts, "guess", lambda self, reply: token)
    assert generate(*loaded, prompts, max_new_tokens=40, batch_size=5) == replies


def test_right_guesses_save_passes(loaded, bodies, monkeypatch):
    passes = []

    class Spy(Memory):
        def step(self, tokens, lengths):
            passes.append(len(tokens))
            return super().step(tokens, lengths)

    monkeypatch.setattr(module, "Memory", Spy)
    prompts = [OPEN.prompt(b, "full") for b in bodies[:24]]

    def passes_a_reply():
        passes.clear()
        generate(*loaded, prompts, batch_size=8)
        return sum(passes) / len(prompts)

    guessed = passes_a_reply()
    monkeypatch.setattr(module.Drafts, "guess", lambda self, reply: None)
    assert guessed < 0.8 * passes_a_reply()


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


def test_the_model_is_as_before_when_writing_is_interrupted(loaded, bodies):
    import torch

    model, tokenizer = loaded
    before = model.config._attn_implementation

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model, tokenizer, [CHOICE.prompt(bodies[0])], max_new_tokens=2, progress=stop)
    assert model.config._attn_implementation == before
    assert not torch.is_inference_mode_enabled()


def test_what_full_prompts_begin_with_is_read_once(loaded, bodies, monkeypatch):
    opened, read = [], []

    class Spy(Memory):
        def __init__(self, model, prefix, **sizes):
            opened.append(list(prefix))
            super().__init__(model, prefix, **sizes)

        def read(self, prompts, first):
            read.extend(map(list, prompts))
            return super().read(prompts, first)

    monkeypatch.setattr(module, "Memory", Spy)
    prompts = [CHOICE.prompt(b, "full") for b in bodies[:6]]
    generate(*loaded, prompts, max_new_tokens=4)
    (prefix,) = opened
    assert len(prefix) > 200
    assert sorted(prefix + own for own in read) == sorted(encode_prompts(loaded[1], prompts))


def test_the_shared_prefix_leaves_each_prompt_a_token_of_its_own():
    assert shared_prefix([[*range(60), 7], [*range(60), 8, 9]]) == list(range(60))
    assert shared_prefix([list(range(60))] * 2) == list(range(59))
    assert shared_prefix([[1, 2, 3], [1, 2, 4]]) == []


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"device": "cpu"}, False),
        ({"installed": False}, False),
        ({"n_prompts": 20}, False),
        ({"free": 30}, False),
    ],
)
def test_vllm_writes_only_where_it_is_installed_worth_it_and_fits(change, taken):
    facts = {"device": "cuda", "installed": True, "n_prompts": 20_000, "free": 60, "weights": 16}
    assert worth_vllm(**{**facts, **change}) is taken


@pytest.mark.gpu
def test_vllm_writes_what_the_slots_write(loaded, bodies, monkeypatch):
    import torch

    if not torch.cuda.is_available() or importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM and a CUDA device are needed to let vLLM write")
    model, tokenizer = loaded
    prompts = [CHOICE.prompt(b) for b in bodies[:20]]
    reference = generate(model, tokenizer, prompts, max_new_tokens=40)
    monkeypatch.setattr(module, "_WORTH_VLLM", 1)
    lines = []
    written = generate(model, tokenizer, prompts, max_new_tokens=40, progress=lines.append)
    assert "replies by vLLM" in lines[-1]
    assert generate(model, tokenizer, prompts, max_new_tokens=40, vllm=False) == reference
    # Half precision, and other kernels: a close call may fall to the other side.
    assert sum(a == b for a, b in zip(written, reference, strict=True)) >= 18
