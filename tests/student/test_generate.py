import pytest

from radbook.corpora.sections import report_body
from radbook.corpora.synthetic import generate_reports
from radbook.errors import RadbookError
from radbook.student.base import load_base
from radbook.student.generate import _shared_prefix, generate
from radbook.tasks import CHOICE, OPEN


@pytest.fixture(scope="module")
def loaded():
    model, tokenizer, _ = load_base("tiny", backend="peft")
    return model, tokenizer


@pytest.fixture(scope="module")
def bodies():
    reports, _ = generate_reports(24, style="cohort", seed=5)
    return [report_body(t) for t in reports["text"]]


def test_replies_do_not_depend_on_the_batch(loaded, bodies):
    prompts = [OPEN.prompt(b) for b in bodies]
    alone = [generate(*loaded, [p], max_new_tokens=60)[0] for p in prompts]
    assert generate(*loaded, prompts, max_new_tokens=60, batch_size=7) == alone


def test_replies_do_not_depend_on_the_prefix_cache(loaded, bodies):
    prompts = [CHOICE.prompt(b, "full") for b in bodies[:10]]
    assert generate(*loaded, prompts, max_new_tokens=20, batch_size=10) == [
        generate(*loaded, [p], max_new_tokens=20)[0] for p in prompts
    ]


def test_a_reply_ends_at_the_end_token_and_keeps_no_special_token(loaded):
    reply = generate(*loaded, [CHOICE.prompt("The lungs are clear.")], max_new_tokens=100)[0]
    assert reply.endswith("]")
    assert "</s>" not in reply and "<pad>" not in reply


def test_max_new_tokens_cuts(loaded, bodies):
    model, tokenizer = loaded
    reply = generate(model, tokenizer, [OPEN.prompt(bodies[0])], max_new_tokens=2)[0]
    assert len(tokenizer(" " + reply)["input_ids"]) <= 2


def test_progress_ends_with_all_and_nothing_is_asked_of_nothing(loaded, bodies):
    lines = []
    generate(
        *loaded, [CHOICE.prompt(b) for b in bodies[:5]], max_new_tokens=4, batch_size=2, progress=lines.append
    )
    assert lines[-1].startswith("5 of 5 replies, ")
    assert generate(*loaded, []) == []


@pytest.mark.parametrize("name", ["max_new_tokens", "batch_size"])
def test_bad_options_are_refused_by_name(loaded, name):
    with pytest.raises(RadbookError, match=name):
        generate(*loaded, ["a"], **{name: 0})


def test_the_shared_prefix_leaves_each_prompt_a_token_of_its_own():
    assert _shared_prefix([[*range(60), 7], [*range(60), 8, 9]]) == list(range(60))
    assert _shared_prefix([list(range(60))] * 2) == list(range(59))
    assert _shared_prefix([[1, 2, 3], [1, 2, 4]]) == []
