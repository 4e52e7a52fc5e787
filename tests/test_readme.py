"""What the README says about its results table: every figure and every order in the sentences is that of the row it is about.

That the table itself holds what `results/` holds is tested in tests/tools/test_publish.py.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radbook.compare.wei2024 import PUBLISHED
from tools.publish.readme import END

ROOT = Path(__file__).parents[1]
SENTENCES = (ROOT / "README.md").read_text(encoding="utf-8").partition(END)[2].partition("\n## ")[0]
PAIR = "({} for the student, {} for the rules)"
# Sentence, run and policy of its scores of the choice task, the sources in the order of the figures, and what their order is.
FIGURES = [
    (f'(policy "u-one") the two cannot be told apart {PAIR}', "default", "u-one", ("student:default", "rules")),
    (f'under "u-one" the order is reversed {PAIR}', "openi", "u-one", ("student:openi", "rules")),
]
PAPERS = "({} for the student against {} for its teacher)"
# Sentence, run, task, source and reference of differences.csv, and where its interval lies: above zero, below it, or around it.
ORDERS = [
    ("On the synthetic cohort the student beats its teacher in the choice task", "default", "choice", "student", "rules", 1),
    ("the untuned base is above the rules as well", "default", "choice", "base", "rules", 1),
    ("it stays below them in both", "openi", "choice", "student", "rules", -1),
    ("it stays below them in both", "openi", "open", "student", "rules", -1),
    ("In the open task it stays below its teacher on both corpora", "default", "open", "student", "simulated", -1),
    ("In the open task it stays below its teacher on both corpora", "openi", "open", "student", "rules", -1),
    ("On Open-i learning from the rules' labels helps it in the open task", "openi", "open", "student", "base", 1),
    ("in the choice task, and in both tasks of the synthetic cohort", "openi", "choice", "student", "base", 0),
    ("in the choice task, and in both tasks of the synthetic cohort", "default", "choice", "student", "base", 0),
    ("in the choice task, and in both tasks of the synthetic cohort", "default", "open", "student", "base", 0),
]


def written(template: str, run: str, policy: str, sources: tuple[str, ...]) -> str:
    scores = pd.read_csv(ROOT / "results" / run / "scores.csv")
    rows = scores.query("policy == @policy and task == 'choice' and label == 'micro' and metric == 'f1'")
    return template.format(*rows.set_index("source").loc[list(sources), "value"].map("{:.3f}".format))


def test_every_figure_in_a_sentence_is_that_of_its_row():
    phrases = [written(*figure) for figure in FIGURES]
    phrases.append(PAPERS.format(PUBLISHED["choice, student"], PUBLISHED["choice, NegBio"]))
    rest = SENTENCES
    for phrase in phrases:
        assert phrase in SENTENCES
        rest = rest.replace(phrase, "")
    assert re.findall(r"\d\.\d+", rest) == [], "a figure without a row in this test"


@pytest.mark.parametrize(("sentence", "run", "task", "source", "reference", "side"), ORDERS)
def test_every_order_in_a_sentence_is_that_of_its_interval(sentence, run, task, source, reference, side):
    assert sentence in SENTENCES
    rows = pd.read_csv(ROOT / "results" / run / "differences.csv").query("task == @task")
    found = rows[rows["source"].str.startswith(source) & rows["reference"].str.startswith(reference)]
    assert len(found) == 1 and (np.sign(found[["low", "high"]]).sum(axis=1) / 2).tolist() == [side]


def test_the_order_under_the_other_policy_is_that_of_the_paired_comparison():
    claims = pd.read_csv(ROOT / "results" / "claims.csv").set_index("name")["text"]
    told = {corpus: claims[f"{corpus}_choice_verdict_u_one"] for corpus in ("synthetic", "openi")}
    assert told == {"synthetic": "not distinguishable from its teacher", "openi": "above its teacher"}
