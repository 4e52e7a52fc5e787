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
PAPERS = "({} for the student against {} for its teacher)"
# Sentence, run, task, source and reference of differences.csv, and where its interval lies: above zero, below it, or around it.
ORDERS = [
    ("On Open-i the student beats its teacher in the choice task", "default", "choice", "student", "indexer", 1),
    ("It stays below its own untuned base there", "default", "choice", "student", "base", -1),
    ("and far below the rules", "default", "choice", "student", "rules", -1),
    ("the student stays below them", "default", "open", "student", "rules", -1),
    ("and above its base", "default", "open", "student", "base", 1),
    ("On the synthetic cohort the student beats its teacher in the choice task", "synthetic", "choice", "student", "rules", 1),
    ("the untuned base is above the rules as well", "synthetic", "choice", "base", "rules", 1),
    ("In the open task it stays below its teacher", "synthetic", "open", "student", "simulated", -1),
]


def test_every_figure_in_a_sentence_is_one_of_the_papers():
    phrase = PAPERS.format(PUBLISHED["choice, student"], PUBLISHED["choice, NegBio"])
    assert phrase in SENTENCES
    assert re.findall(r"\d\.\d+", SENTENCES.replace(phrase, "")) == [], "a figure without a row in this test"


@pytest.mark.parametrize(("sentence", "run", "task", "source", "reference", "side"), ORDERS)
def test_every_order_in_a_sentence_is_that_of_its_interval(sentence, run, task, source, reference, side):
    assert sentence in SENTENCES
    rows = pd.read_csv(ROOT / "results" / run / "differences.csv").query("task == @task")
    found = rows[rows["source"].str.startswith(source) & rows["reference"].str.startswith(reference)]
    assert len(found) == 1 and (np.sign(found[["low", "high"]]).sum(axis=1) / 2).tolist() == [side]
