from copy import deepcopy

import pytest

from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.student.generation import kv_cache as module
from radbook.student.generation.fast_llama import LeanLlama
from radbook.student.generation.generate import generate
from radbook.student.generation.kv_cache import Memory
from radbook.student.prompts import encode_prompts
from radbook.tasks import CHOICE, OPEN

SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
VARIANTS = {
    "as many key heads": {},
    "grouped heads": {"num_key_value_heads": 2},
    "stretched rotation": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
    "a head of its own": {"tie_word_embeddings": False},
}


def random_llama(**options):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, "vocab_size": 99, **options})).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)  # they start as ones, which would hide a norm that is left out
    return model


def adapted(model):
    """An adapter with something learned: its weights start as zeros."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear")).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    return model


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prefix", [[], [5, 6, 7]])
def test_the_next_tokens_are_those_of_transformers(variant, prefix):
    import torch

    model = random_llama(**VARIANTS[variant])
    prompts = [[11, 12, 13, 14], [21, 22], [31, 32, 33]]
    memory = Memory(model, prefix, rows=3, width=8)
    assert LeanLlama.fits(model)
    lengths = [len(p) for p in prompts]
    with memory.open():
        first = memory.read(prompts, 0)
        # What a wrong guess left behind is overwritten and never looked at.
        misled = memory.step([[token, 49] for token in first], lengths)
        second = memory.step([[token] for token in first], lengths)
        third = memory.step([[token, 47] for (token,) in second], [n + 1 for n in lengths])
    for prompt, one, wrong, (two,), after in zip(prompts, first, misled, second, third, strict=True):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prefix, *prompt, one, two, 47]])).logits[0]
            astray = model(input_ids=torch.tensor([[*prefix, *prompt, one, 49]])).logits[0]
        assert logits[-4:].argmax(-1).tolist() == [one, two, *after]
        assert wrong == [two, astray[-1].argmax().item()]


def test_logits_are_those_of_transformers_where_they_are_asked_for():
    import torch

    model = random_llama()
    tokens = torch.tensor([[11, 12, 13, 14], [21, 22, 23, 24]])
    columns = torch.tensor([[0, 3, 2], [1, 1, 3]])
    memory = Memory(model, [], rows=2, width=4)
    later = torch.ones(2, 4, 4, dtype=torch.bool).triu(1)
    with memory.open():
        found = memory.logits(tokens, torch.arange(4).expand(2, 4), later, columns)
    with torch.inference_mode():
        whole = model(input_ids=tokens).logits
    assert torch.allclose(found, whole[torch.arange(2)[:, None], columns], atol=1e-5)


def test_weights_that_have_changed_are_seen(loaded):
    import torch

    model, prompts = random_llama(vocab_size=3072), [CHOICE.prompt("Small effusion.")]
    before = generate(model, loaded[1], prompts, max_new_tokens=8)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
    assert generate(model, loaded[1], prompts, max_new_tokens=8) != before


def test_only_small_plain_llamas_in_float32_fit(monkeypatch):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    assert LeanLlama.fits(random_llama())
    assert not LeanLlama.fits(random_llama(attention_bias=True))
    assert not LeanLlama.fits(random_llama(mlp_bias=True))
    assert not LeanLlama.fits(random_llama(hidden_act="gelu"))
    assert not LeanLlama.fits(random_llama().to(torch.bfloat16))
    assert not LeanLlama.fits(adapted(random_llama()))
    assert not LeanLlama.fits(adapted(random_llama()).get_base_model())
    assert not LeanLlama.fits(Qwen2ForCausalLM(Qwen2Config(vocab_size=99, **SHAPE)))
    monkeypatch.setattr("radbook.student.generation.fast_llama._SMALL", 1000)
    assert not LeanLlama.fits(random_llama())


@pytest.mark.parametrize("style", ["short", "full"])
def test_an_adapter_that_is_not_merged_writes_what_plain_generate_writes(loaded, style, monkeypatch):
    import torch

    # Several groups of slots, each looked at as far as its own longest.
    monkeypatch.setattr(module, "_NEIGHBORS", 3)
    model, tokenizer = adapted(deepcopy(loaded[0])), loaded[1]
    reports, _ = generate_reports(12, style="cohort", seed=3)
    prompts = [OPEN.prompt(report_body(text), style) for text in reports["text"]]
    expected = []
    for ids in encode_prompts(tokenizer, prompts):
        tokens = torch.tensor([ids])
        written = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=12
        )
        expected.append(tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True).strip())
    assert generate(model, tokenizer, prompts, max_new_tokens=12, batch_size=8) == expected
    merged = model.merge_and_unload()
    assert LeanLlama.fits(merged)
    assert generate(merged, tokenizer, prompts, max_new_tokens=12, batch_size=8) == expected
