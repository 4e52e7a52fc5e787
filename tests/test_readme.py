"""What the README says about its results table: every figure in the sentences stands in `results/` as well."""

import re
from pathlib import Path

import pandas as pd
import pytest

from radbook.compare.publish import END

ROOT = Path(__file__).parents[1]
SENTENCES = (ROOT / "README.md").read_text(encoding="utf-8").partition(END)[2].partition("\n## ")[0]
FIGURES = re.findall(r"[+-]?0\.\d{3}", SENTENCES)


def published() -> set[str]:
    files = [*(ROOT / "results").glob("*/scores.csv"), *(ROOT / "results").glob("*/differences.csv")]
    values = pd.concat([pd.read_csv(file)[["value", "low", "high"]] for file in files]).stack()
    return {form.format(value) for value in values for form in ("{:.3f}", "{:+.3f}")}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_in_a_sentence_stands_in_the_results(figure):
    assert figure in published()


@pytest.mark.parametrize("run", ["default", "openi"])
def test_the_sentences_give_the_scores_of_the_policy_they_name(run):
    scores = pd.read_csv(ROOT / "results" / run / "scores.csv")
    micro = scores.query("policy == 'u-one' and task == 'choice' and label == 'micro' and metric == 'f1'")
    said = micro.set_index("source")["value"].map("{:.3f}".format)
    assert f"({said[f'student:{run}']} for the student, {said['rules']} for the rules)" in SENTENCES
