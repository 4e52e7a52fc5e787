import numpy as np
import pytest

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES
from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.evaluation import certainty
from radbook.student import Student
from radbook.student.generation.confidence import list_probabilities
from radbook.student.prompts import encode_prompts
from radbook.tasks import CHOICE

LISTS = [
    [],
    ["Edema"],
    ["Lung Lesion", "Lung Opacity"],
    ["Pleural Effusion", "Pneumonia", "Support Devices"],
    ["Atelectasis", "Pleural Other"],
]


@pytest.fixture(scope="module")
def corpus():
    return generate_reports(40, style="cohort", seed=9)


def next_probabilities(model, tokens, among):
    """Plain transformers, one sequence, no cache: the shares of the tokens `among` as the next one."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokens])).logits[0, -1].double()
    return dict(zip(among, logits[among].softmax(0).tolist(), strict=True))


def probability_of(model, prompt, way, all_ways):
    """P(way) for a writer who may only write one of `all_ways`, token by token."""
    mass = 1.0
    for n, token in enumerate(way):
        onward = sorted({w[n] for w in all_ways if w[:n] == way[:n] and len(w) > n})
        if len(onward) > 1:
            mass *= next_probabilities(model, prompt + list(way[:n]), onward)[token]
    return mass


@pytest.mark.parametrize("style", ["short", "full"])
def test_the_decisions_multiply_to_the_probability_of_the_list(loaded, corpus, style):
    model, tokenizer = loaded
    prompts = [CHOICE.prompt(report_body(t), style) for t in corpus[0]["text"].head(len(LISTS))]
    found = list_probabilities(model, tokenizer, prompts, LISTS)
    assert ((found >= 0) & (found <= 1)).all()
    for prompt, named, row in zip(encode_prompts(tokenizer, prompts), LISTS, found, strict=True):
        product = np.prod([p if c in named else 1 - p for c, p in zip(CATEGORIES, row, strict=True)])
        expected = 1.0
        for k in range(len(named) + 1):  # each place in the list: what comes next, or its end
            start = named[:k]
            later = CATEGORIES[CATEGORIES.index(start[-1]) + 1 :] if start else CATEGORIES
            ends = {"": [f" [{', '.join(start)}]"] if start else [" [Normal]"]}
            ways = ends | {c: [f" [{', '.join([*start, c])}{t}" for t in "],"] for c in later}
            ids = {
                name: [tuple(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts]
                for name, texts in ways.items()
            }
            every = [way for some in ids.values() for way in some]
            chosen = ids[named[k] if k < len(named) else ""]
            # The two ways to go on after a name part later than the decision does.
            expected *= sum(probability_of(model, prompt, way, every) for way in chosen)
        assert product == pytest.approx(expected, rel=1e-4)


def test_probabilities_do_not_depend_on_the_prompts_before(loaded, corpus):
    prompts = [CHOICE.prompt(report_body(t)) for t in corpus[0]["text"]]
    named = [LISTS[k % len(LISTS)] for k in range(len(prompts))]
    together = list_probabilities(*loaded, prompts, named)
    alone = [list_probabilities(*loaded, [p], [n])[0] for p, n in zip(prompts, named, strict=True)]
    assert np.abs(together - np.array(alone)).max() < 1e-4


def test_what_the_model_wrote_is_what_it_finds_probable(loaded, corpus):
    student = Student.untuned("tiny-taught")
    reports = corpus[0]
    labels = student.label(reports, ["choice"])
    lines = []
    stated = student.confidence(reports, labels, progress=lines.append)
    assert list(stated.columns) == ["report_id", "code", "named", "probability"]
    assert len(stated) == len(reports) * len(CATEGORIES)
    assert stated["probability"].between(0, 1).all()
    named = stated.groupby("named")["probability"].mean()
    assert named[True] > 0.7 and named[False] < 0.1
    assert lines[-1].startswith("40 of 40 lists, ")


def test_an_answer_that_failed_has_no_probability(corpus):
    student = Student.untuned("tiny-taught")
    reports = corpus[0].head(3).copy()
    reports.loc[reports.index[0], "text"] = ""
    labels = student.label(reports, ["choice"])
    stated = student.confidence(reports, labels)
    unknown = stated["probability"].isna().groupby(stated["report_id"], sort=False).mean()
    assert unknown.tolist() == [1.0, 0.0, 0.0]
    assert certainty(stated).iloc[0] == 0.0 and (certainty(stated).iloc[1:] > 0).all()
    only_failed = student.confidence(reports.head(1), labels)
    assert only_failed["probability"].isna().all()
    with pytest.raises(RadbookError, match=r"1 reports have no choice answer of base:tiny-taught"):
        student.confidence(corpus[0].head(4), labels)


def test_other_models_and_tokenizers_are_refused(loaded):
    from transformers import GPT2Config, GPT2LMHeadModel

    gpt = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=3072))
    with pytest.raises(RadbookError, match="not from gpt2"):
        list_probabilities(gpt, loaded[1], ["a"], [[]])
