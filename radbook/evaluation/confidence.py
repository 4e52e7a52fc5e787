"""How far the student of a run can be trusted, answer by answer: what chapter 07 asks of it.

Each step says what it could not do instead of ending the chapter: a run may have no curated labels, and its student may
be gone or of a kind whose probabilities cannot be read.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from radbook.core.errors import RadbookError
from radbook.corpora.sections import report_body
from radbook.evaluation import Calibration, calibrate, certainty, reliability, risk_coverage
from radbook.evaluation.selective import RISK_COLUMNS, answer_probability
from radbook.evaluation.unlabeled import has_reference
from radbook.student import Student

__all__ = ["ask_student", "calibrated", "least_certain", "reliabilities", "risks"]

_STATED = ["report_id", "code", "named", "probability"]
NO_REFERENCE = "there are no curated labels to compare with"


def ask_student(
    folder: str | Path,
    reports: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[pd.DataFrame, str]:
    """Return what `Student.confidence` says of these reports, or no rows and why there are none.

    >>> stated, why = ask_student("nowhere", pd.DataFrame(), pd.DataFrame({"source": ["student:mine"]}))
    >>> len(stated), why.split("/")[-1]
    (0, 'nowhere holds no finished student: run chapter 06 (radbook.student.training.finetune) first')
    """
    own = predictions[predictions["source"].str.startswith("student:")]
    try:
        student = Student.load(folder)
        # The name it had when it answered: a run's folder may have been renamed since.
        student.source = next(iter(own["source"]), student.source)
        return student.confidence(reports, own, progress=progress), ""
    except RadbookError as error:
        return pd.DataFrame(columns=_STATED), str(error)


def calibrated(
    stated: pd.DataFrame, curated: pd.DataFrame, dev: pd.DataFrame, *, policy: str
) -> tuple[pd.DataFrame, Calibration | None, str]:
    """Add the column `calibrated`, fitted on `dev`; where that cannot be done it repeats the probability, with the reason.

    >>> calibrated(pd.DataFrame({"probability": []}), pd.DataFrame(), pd.DataFrame(), policy="certain")[1:]
    (None, 'no probability is known')
    """
    try:
        line = calibrate(stated, curated, reports=dev, policy=policy) if len(stated) else None
    except RadbookError as error:
        line, why = None, str(error)
    else:
        why = "" if line else "no probability is known"
    probability = stated["probability"].astype(float)
    return stated.assign(calibrated=line.apply(probability) if line else probability), line, why


def least_certain(
    stated: pd.DataFrame, curated: pd.DataFrame, reports: pd.DataFrame, *, n: int = 4
) -> pd.DataFrame:
    """Return the `n` decisions on these reports of which the student is least certain, with report and curated answer.

    >>> stated = pd.DataFrame({"report_id": ["1", "2"], "code": "Edema", "named": False, "probability": [0.4, 0.1]})
    >>> curated = pd.DataFrame(columns=["report_id", "task", "status", "findings"])
    >>> reports = pd.DataFrame({"report_id": ["1", "2"], "text": ["Wet lungs.", "Clear lungs."]})
    >>> least_certain(stated, curated, reports, n=1)[["report", "curated"]].values.tolist()
    [['Wet lungs.', 'not known']]
    """
    rows = stated[stated["report_id"].isin(reports["report_id"])].dropna(subset="probability")
    rows = rows.assign(certainty=answer_probability(rows))
    rows = rows.sort_values("certainty", kind="stable").drop_duplicates("report_id").head(n)
    truth = curated[(curated["task"] == "choice") & (curated["status"] != "failed")].set_index("report_id")
    said = [
        {f["code"]: f["presence"] for f in truth["findings"][i]} if i in truth.index else None
        for i in rows["report_id"]
    ]
    answers = [
        "not known" if s is None else s.get(c, "not mentioned")
        for s, c in zip(said, rows["code"], strict=True)
    ]
    bodies = reports.set_index("report_id")["text"].map(report_body)
    shown = rows.assign(curated=answers, report=rows["report_id"].map(bodies))
    return shown[["report", "code", "named", "probability", "curated"]].reset_index(drop=True)


def reliabilities(
    stated: pd.DataFrame, curated: pd.DataFrame, reports: pd.DataFrame, *, policy: str
) -> dict[str, pd.DataFrame]:
    """Return the `reliability` table of the probabilities as stated and as calibrated; none without a reference.

    >>> reliabilities(pd.DataFrame({"probability": [None]}), pd.DataFrame(), pd.DataFrame(), policy="certain")
    {}
    """
    if _unjudged(stated, curated, reports):
        return {}
    columns = {"as stated": "probability", "calibrated": "calibrated"}
    return {
        name: reliability(curated, stated, reports=reports, column=column, policy=policy)
        for name, column in columns.items()
    }


def risks(
    stated: pd.DataFrame,
    curated: pd.DataFrame,
    tables: list[pd.DataFrame],
    reports: pd.DataFrame,
    **options: object,
) -> pd.DataFrame:
    """Return `risk_coverage` of each labeler in `tables` on the reports of which the student is certain.

    No rows without a reference or without probabilities.

    >>> len(risks(pd.DataFrame({"probability": [None]}), pd.DataFrame(), [], pd.DataFrame()))
    0
    """
    if _unjudged(stated, curated, reports):
        return pd.DataFrame(columns=RISK_COLUMNS)
    sure = certainty(stated, column="calibrated")
    parts = [risk_coverage(curated, table, sure, reports=reports, **options) for table in tables]
    return pd.concat(parts, ignore_index=True)


def _unjudged(stated: pd.DataFrame, curated: pd.DataFrame, reports: pd.DataFrame) -> bool:
    return stated["probability"].isna().all() or not has_reference(curated, "choice", reports=reports)
