"""How right the labels are that a student is really taught: of all a teacher wrote, only some become rows.

Whoever leaves out the rows in dispute leaves out most of the errors with them, so a student may be taught by far better labels
than its teacher writes on the average; no score of the teacher says so.
"""

from collections.abc import Mapping

import pandas as pd

from radbook.evaluation import compare, has_reference, score
from radbook.reporting.text import UNKNOWN, interval

__all__ = ["quality_as_taught"]

_CURATED = "curated"


def quality_as_taught(
    instructions: pd.DataFrame,
    labels: Mapping[str, pd.DataFrame | None],
    curated: pd.DataFrame,
    reports: pd.DataFrame,
    **options: object,
) -> pd.DataFrame:
    """Score the labels of the training split against a reference twice: all of them, and those of the training set.

    Parameters
    ----------
    instructions
        The training set, as of `radbook.instructions.build_instructions`.
    labels
        The labels it was made from, by task; None where a task was left out.
    curated
        The reference, from which checked rows (`n_checked`) take their labels; it may be empty.
    reports
        The `reports` table.
    **options
        Of `radbook.evaluation.score`: policy, n_bootstrap, seed.

    Returns
    -------
    pandas.DataFrame
        Laid out for reading, indexed by task and by "all labels" or "as taught": reports that were scored, findings that are
        right, invented and missed, and precision, recall and micro-F1 with their intervals; without a reference all this is
        not known. What has no rows has no line.

    Examples
    --------
    >>> from radbook.core.findings import finding, label_row
    >>> reports = pd.DataFrame({"report_id": ["1", "2"], "patient_id": ["1", "2"], "split": "train"})
    >>> truth = pd.DataFrame([label_row(i, "curated", "choice", [finding("Edema")]) for i in "12"])
    >>> rules = truth.assign(source="rules", findings=[[finding("Edema")], []])
    >>> rows = pd.DataFrame({"report_id": ["1"], "task": ["choice"], "source": ["rules"]})
    >>> quality_as_taught(rows, {"choice": rules}, truth, reports)["missed"].to_dict()
    {('choice', 'all labels'): 1, ('choice', 'as taught'): 0}
    """
    train = reports[reports["split"] == "train"]
    lines = {}
    for task, given in labels.items():
        if given is None:
            continue
        own = given[(given["task"] == task) & given["report_id"].isin(train["report_id"])]
        rows = instructions.loc[instructions["task"] == task, ["report_id", "source"]]
        checked = curated[(curated["task"] == task) & (curated["source"] == _CURATED)]
        # A row names whose label it holds, so a checked one finds that of the reference.
        both = pd.concat([own, checked]).drop_duplicates(["report_id", "source"])
        for name, part in (("all labels", own), ("as taught", both.merge(rows, on=["report_id", "source"]))):
            if len(part):
                lines[(task, name)] = _line(curated, part.assign(source=name), train, task, options)
    index = pd.MultiIndex.from_tuples(list(lines), names=["task", "labels"])
    return pd.DataFrame(list(lines.values()), index=index)


def _line(
    curated: pd.DataFrame, part: pd.DataFrame, train: pd.DataFrame, task: str, options: dict[str, object]
) -> dict[str, object]:
    scored = train[train["report_id"].isin(part["report_id"])]
    scores = score(curated, part, task=task, reports=scored, **options)
    micro = scores[scores["label"] == "micro"].set_index("metric")
    policy = {name: value for name, value in options.items() if name == "policy"}
    counts = compare(curated, part, task=task, reports=scored, **policy).by_report()
    known = has_reference(curated, task, reports=scored)
    found = {"right": "tp", "invented": "fp", "missed": "fn"}
    return {
        "reports": int(micro["n_reports"].max()) if known else UNKNOWN,
        **{name: int(counts[key].sum()) if known else UNKNOWN for name, key in found.items()},
        **{name: interval(micro.loc[name]) for name in ("precision", "recall")},
        "micro-F1": interval(micro.loc["f1"]),
    }
