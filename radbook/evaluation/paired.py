"""Is one source better than another on the same reports: paired bootstrap and permutation over patients, per label with Holm.

Both sources answer the same reports, so their scores rise and fall together from draw to draw; a difference is far surer
than two intervals side by side suggest.
Whoever compares in every category asks many questions at once, and `holm` keeps the chance of any false "yes" at 5%.
"""

from collections.abc import Sequence
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from radbook.core.errors import RadbookError, choose
from radbook.evaluation.bootstrap import Statistic, bootstrap_scores, chunks
from radbook.evaluation.comparison import Comparison, compare_all
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
    one, two = compare_all(curated, [a, b], task=task, policy=policy, reports=reports, level=level)
    found = _differences(one, two, [(label, metric)], n_bootstrap, seed)
    return _question(one, two, metric) | found.to_dict("records")[0]


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
        "precision", "recall" or "f1".

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
    choose(metric, METRICS, "metric")
    one, two = compare_all(curated, [a, b], task=task, policy=policy, reports=reports, level=level)
    names = [(label, measure) for label, measure in score_names(one.labels) if measure == metric]
    frame = _differences(one, two, names, n_bootstrap, seed)
    single = frame["label"].isin(one.labels)
    family = single & (frame["n_positive"] >= FEW_POSITIVES) & frame["p"].notna()
    frame.insert(frame.columns.get_loc("p") + 1, "p_holm", holm(frame["p"].where(family)))
    frame.attrs = {
        **_question(one, two, metric),
        "few": frame.loc[single & (frame["n_positive"] < FEW_POSITIVES), "label"].tolist(),
        "family": frame.loc[family, "label"].tolist(),
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


def _question(one: Comparison, two: Comparison, metric: str) -> dict[str, object]:
    return {
        "a": one.source,
        "b": two.source,
        "task": one.task,
        "policy": one.policy,
        "metric": metric,
        "n_reports": len(one.report_ids),
        "n_patients": one.n_patients,
    }


def _differences(
    one: Comparison,
    two: Comparison,
    names: list[tuple[str, str]],
    n_bootstrap: int,
    seed: int,
) -> pd.DataFrame:
    """label, value_a, value_b, value, low, high, p and n_positive of some of the scores that `derive` gives."""
    columns = [_score_column(one.labels, *name) for name in names]
    left, right = one.by_patient(), two.by_patient()
    width = left.shape[1]

    def scores(totals: np.ndarray) -> np.ndarray:
        return derive(totals)[..., columns]

    def difference(totals: np.ndarray) -> np.ndarray:
        return scores(totals[..., :width]) - scores(totals[..., width:])

    both = np.hstack([left, right])
    value, low, high = bootstrap_scores(both, difference, n_bootstrap=n_bootstrap, seed=seed)
    positives = dict(zip(one.labels, np.minimum(one.n_positive, two.n_positive).tolist(), strict=True))
    return pd.DataFrame(
        {
            "label": [label for label, _ in names],
            "value_a": scores(left.sum(axis=0)),
            "value_b": scores(right.sum(axis=0)),
            "value": value,
            "low": low,
            "high": high,
            "p": _permutation_p(both, difference, n_bootstrap, seed),
            "n_positive": [positives.get(label, sum(positives.values())) for label, _ in names],
        }
    )


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


def _score_column(labels: Sequence[str], label: str, metric: str) -> int:
    names = score_names(labels)
    choose(metric, (*METRICS, "exact_match"), "metric")
    if not labels:
        return 0  # an open task without a reference has no labels to choose from, and no score is known
    choose(label, dict.fromkeys(name for name, _ in names), "label")
    if (label, metric) not in names:
        raise RadbookError(f"metric={metric!r} does not go with label={label!r} (exact_match: label 'all')")
    return names.index((label, metric))
