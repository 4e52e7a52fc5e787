"""Is one source better than another on the same reports: paired bootstrap and permutation over patients, per label with Holm.

Both sources answer the same reports, so their scores rise and fall together from draw to draw; a difference is far surer
than two intervals side by side suggest.
Whoever compares in every category asks many questions at once, and `holm` keeps the chance of any false "yes" at 5%.
"""

from math import nan

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from radbook.core.errors import choose
from radbook.evaluation.bootstrap import Statistic, bootstrap_scores, chunks
from radbook.evaluation.comparison import compare_all
from radbook.evaluation.scores import FEW_POSITIVES, METRICS, derive, score_names

__all__ = ["holm", "paired_difference", "paired_table"]


def paired_difference(
    curated: pd.DataFrame,
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    metric: str = "f1",
    label: str = "micro",
    level: str = "category",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, object]:
    """Compare two sources on the same reports: is `a` better than `b`, or could it be the draw of patients?

    Parameters
    ----------
    curated, a, b
        `labels` tables; `a` and `b` hold one source each. Without a reference (see `score`), or where one of the two has no rows
        of the task, every value is unknown (NaN).
    task, policy, reports, level, n_bootstrap, seed
        As in `score`.
    metric, label
        Which score: "precision", "recall" or "f1" of "micro", "macro" or one label; "exact_match" of label
        "all".

    Returns
    -------
    A dict of `a` and `b` (source names), `value_a`, `value_b`, `value` (a minus b), `low`, `high` (95%
    paired bootstrap over patients), `p` (two-sided permutation test), `task`, `policy`, `label`, `metric`,
    `n_reports`, `n_patients`, `n_positive` (scored for both sources).

    Notes
    -----
    The test exchanges the two sources' answers patient by patient, at random, `n_bootstrap` times; p is the
    share of exchanges whose difference is at least as large, with the observed one counted in, so it is
    never 0.

    Under the policy "ignore" each side is scored on its own cells, those about which neither it nor the reference has a
    doubt: the two then answer for cells that are not quite the same, and their difference is partly one of cells.

    Examples
    --------
    >>> from radbook.core.findings import label_row, finding
    >>> def table(source, n):
    ...     rows = [label_row(str(i), source, "choice", [finding("Edema")] * (i < n)) for i in range(20)]
    ...     return pd.DataFrame(rows)
    >>> result = paired_difference(table("curated", 10), table("a", 10), table("b", 6), task="choice")
    >>> result["value"], bool(result["low"] > 0)
    (0.25, True)
    """
    options = {"policy": policy, "reports": reports, "level": level, "n_bootstrap": n_bootstrap, "seed": seed}
    table = paired_table(curated, a, b, task=task, metric=metric, **options)
    question = {name: value for name, value in table.attrs.items() if name not in ("few", "family")}
    if not question["n_reports"]:
        table = table.head(1).assign(label=label)  # whatever is asked for is unknown
    choose(label, table["label"].tolist(), "label")
    row = table[table["label"] == label].drop(columns="p_holm")
    return question | row.to_dict("records")[0]


def paired_table(
    curated: pd.DataFrame,
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    task: str,
    policy: str = "certain",
    reports: pd.DataFrame | None = None,
    metric: str = "f1",
    level: str = "category",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two sources in every label at once, with p-values that `holm` corrects for the number of labels.

    Parameters
    ----------
    curated, a, b, task, policy, reports, level, n_bootstrap, seed
        As in `paired_difference`.
    metric
        "precision", "recall" or "f1"; with "exact_match" the table has one row, "all".

    Returns
    -------
    One row for "micro", "macro" and each label: label, value_a, value_b, value (a minus b), low, high, p, p_holm and
    n_positive.
    `attrs` holds `a`, `b`, `task`, `policy`, `metric`, `n_reports`, `n_patients`, `few` (labels with fewer than 10
    positives) and `family` (labels that `p_holm` is corrected over).

    Notes
    -----
    Every label is scored on the same draws and the same exchanges of patients.
    A label with fewer than 10 positives, or whose difference is undefined, is no member of the family: a test that can
    hardly say "yes" would only make the others' corrections harsher.
    It keeps its row and its `p`, and its `p_holm` is NaN; so is that of "micro" and "macro", which ask one question each.

    Examples
    --------
    >>> from radbook.core.findings import label_row, finding
    >>> def table(source, n):
    ...     rows = [label_row(str(i), source, "choice", [finding("Edema")] * (i < n)) for i in range(20)]
    ...     return pd.DataFrame(rows)
    >>> found = paired_table(table("curated", 10), table("a", 10), table("b", 6), task="choice")
    >>> found.set_index("label").loc["Edema", ["value", "n_positive"]].tolist(), found.attrs["family"]
    ([0.25, 10.0], ['Edema'])
    """
    choose(metric, (*METRICS, "exact_match"), "metric")
    one, two = compare_all(curated, [a, b], task=task, policy=policy, reports=reports, level=level)
    names = score_names(one.labels)
    columns = [column for column, (_, measure) in enumerate(names) if measure == metric]
    labels = pd.Series([names[column][0] for column in columns])

    def scores(totals: np.ndarray) -> np.ndarray:
        return derive(totals)[..., columns]

    def difference(totals: np.ndarray) -> np.ndarray:
        left, right = np.split(totals, 2, axis=-1)
        return scores(left) - scores(right)

    both = np.hstack([one.by_patient(), two.by_patient()])
    value, low, high = bootstrap_scores(both, difference, n_bootstrap=n_bootstrap, seed=seed)
    value_a, value_b = map(scores, np.split(both.sum(axis=0), 2))
    p = _permutation_p(both, difference, n_bootstrap, seed)
    positives = pd.Series(np.minimum(one.n_positive, two.n_positive), list(one.labels))
    n_positive = labels.map(positives).fillna(positives.sum()).astype(int)
    single = labels.isin(one.labels)
    family = single & (n_positive >= FEW_POSITIVES) & ~np.isnan(p)
    frame = pd.DataFrame(
        {
            "label": labels,
            "value_a": value_a,
            "value_b": value_b,
            "value": value,
            "low": low,
            "high": high,
            "p": p,
            "p_holm": holm(np.where(family, p, nan)),
            "n_positive": n_positive,
        }
    )
    frame.attrs = {
        "a": one.source,
        "b": two.source,
        "task": one.task,
        "policy": one.policy,
        "metric": metric,
        "n_reports": len(one.report_ids),
        "n_patients": one.n_patients,
        "few": labels[single & (n_positive < FEW_POSITIVES)].tolist(),
        "family": labels[family].tolist(),
    }
    return frame


def holm(p: ArrayLike) -> np.ndarray:
    """Correct p-values for being several (Holm 1979): reject where the result is at most 0.05 and all is kept at 5%.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none falls below the one before it.
    NaN is no test: it stays NaN and is not counted.

    >>> holm([0.01, 0.04, 0.03, float("nan")]).round(3).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    corrected = np.full(p.shape, nan)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(order), 0, -1)))
    return corrected


def _permutation_p(both: np.ndarray, difference: Statistic, n_permutations: int, seed: int) -> np.ndarray:
    width = both.shape[1] // 2
    observed = np.abs(difference(both.sum(axis=0)))
    change = both[:, width:] - both[:, :width]
    change = change[change.any(axis=1)]  # a patient answered alike by both changes nothing when exchanged
    if not len(change):
        return np.where(np.isnan(observed), nan, 1.0)
    change = np.hstack([change, -change])
    total, rng, as_large = both.sum(axis=0), np.random.default_rng([seed, 1]), np.ones(len(observed))
    for rows in chunks(n_permutations, len(change)):
        exchanged = rng.integers(2, size=(rows, len(change))).astype(float)
        shuffled = difference(total + exchanged @ change)
        # An exchange that leaves the score undefined counts against significance.
        as_large += (~(np.abs(shuffled) < observed - 1e-12)).sum(axis=0)
    return np.where(np.isnan(observed), nan, as_large / (n_permutations + 1))
