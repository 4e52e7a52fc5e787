"""Tables of the chapters refuse to lose or merge rows."""

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import label_row
from radbook.reporting import text
from radbook.reporting.tables import status_counts, with_intervals


@pytest.mark.parametrize("tasks", [[], ["choice"]])
def test_a_task_that_is_wholly_lost_is_told(tasks):
    rows = [label_row(str(i), "rules", task, []) for i in range(5) for task in tasks]
    lost = "open" if tasks else "choice"
    with pytest.raises(RadbookError, match=f"{lost}: 5 rows went in, 0 came out"):
        status_counts(pd.DataFrame(rows, columns=["task", "status"]), n_rows=5)


def test_no_table_at_all_is_told_and_a_named_part_may_stand_alone():
    with pytest.raises(RadbookError, match="5 rows went in, and no table came out"):
        status_counts({}, n_rows=5)
    part = pd.DataFrame([label_row("r", "curated", "choice", [])])
    assert status_counts({"choice": part}, n_rows=1)["rows"].to_dict() == {"choice": 1}


def test_scores_of_two_policies_are_not_laid_out_as_one():
    score = {"source": "rules", "metric": "f1", "value": 0.5, "low": 0.4, "high": 0.6}
    scores = pd.DataFrame([{**score, "policy": "certain"}, {**score, "policy": "u-one", "value": 0.7}])
    with pytest.raises(RadbookError, match=r"scores holds source 'rules', metric 'f1' more than once: keep one .*policy"):
        with_intervals(scores)
    assert with_intervals(scores, rows="policy")["f1"].tolist() == ["0.500 (0.400 to 0.600)", "0.700 (0.400 to 0.600)"]


def test_progress_tells_the_first_line_news_after_a_while_and_the_end_but_nothing_twice(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(text.time, "monotonic", lambda: now[0])
    tell = text.progress_lines()
    for at, line in ((0, "0 of 2"), (5, "1 of 2"), (20, "0 of 2"), (40, "1 of 2"), (41, "2 of 2, 0 s left")):
        now[0] = at
        tell(line)
    assert capsys.readouterr().out.splitlines() == ["0 of 2", "1 of 2", "2 of 2, 0 s left"]
