"""The tiny base's own tokenizer: byte-level BPE over lower-cased text, learned from generated reports."""

import random

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from radbook.core.ontology import CATEGORIES, FINDINGS
from radbook.corpora.synthetic import generate_reports
from radbook.tasks import TASKS

__all__ = ["CHAT_TEMPLATE", "build_tokenizer"]

# No roles, no date: a chat of one user turn is exactly the plain prompt after the start token.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% elif not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
)


def build_tokenizer(vocab_size: int = 3072, *, seed: int = 0, n_reports: int = 6000) -> PreTrainedTokenizerFast:
    """Learn a tokenizer of `vocab_size` entries from reports of the general style, category names, codes and prompts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, n_reports), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def _texts(seed: int, n_reports: int) -> list[str]:
    # Twice each: names and codes must be short in tokens although reports seldom spell them.
    names = [f" {c}, [{c}]" for c in CATEGORIES] + [f" {f.name} ({f.icd10})" for f in FINDINGS.values()]
    prompts = [task.prompt("", style) for task in TASKS.values() for style in ("short", "full")]
    texts = generate_reports(n_reports, style="general", seed=seed + 500_000_007)[0]["text"].tolist()
    rng = random.Random(seed)
    marked = [" ".join("XXXX" if rng.random() < 0.03 else w for w in t.split(" ")) for t in texts]
    return [*marked, *(names * 20), *(prompts * 20)]
