"""Figures: the right marks, on white, legible, the same every time, and one clear message for input they cannot draw."""

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import agreement, confusion, paired_difference, paired_power, score
from radbook.evaluation.power import SIZES
from radbook.reporting import figures


@pytest.fixture(scope="module", autouse=True)
def headless():
    backend = plt.get_backend()
    plt.switch_backend("agg")
    yield
    plt.switch_backend(backend)


def labels(source: str, error: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth = rng.random((120, 13)) < np.linspace(0.01, 0.4, 13)
    answer = truth ^ (rng.random(truth.shape) < error)
    rows = [
        label_row(f"r{i}", source, "choice", [finding(CATEGORIES[j]) for j in np.flatnonzero(row)])
        for i, row in enumerate(answer)
    ]
    return pd.DataFrame(rows)


CURATED = labels("curated", 0)
TABLES = [labels("rules", 0.05), labels("student:default", 0.03), labels("base:tiny", 0.2)]
SCORES = score(CURATED, TABLES, task="choice", n_bootstrap=40)
REPORTS = pd.DataFrame({"text": ["no acute disease " * n for n in range(60)]})
LENGTHS = pd.DataFrame(
    {"task": ["choice", "open"] * 20, "prompt_tokens": np.arange(40) * 10, "completion_tokens": 5}
)
DIFFERENCES = [paired_difference(CURATED, TABLES[1], t, task="choice", n_bootstrap=40) for t in TABLES[::2]]
POWER = {
    f"rules and {t['source'][0]}": paired_power(CURATED, TABLES[0], t, task="choice", n_draws=40)
    for t in TABLES[1:]
}
DIAL = pd.DataFrame({"setting": [0.5, 1.0], "f1": [0.5, 1.0], "recall": [0.5, 1.0], "precision": [0.5, 1.0]})
SHARES = pd.DataFrame(
    [("a list", "rules", 1200, 0.1, 0.0, 0.3), ("a hedge", "rules", 30, 0.2, 0.1, 0.4), ("a list", "chat", 1200, 0, 0, 0.1)],
    columns=["label", "source", "tries", "value", "low", "high"],
)
RISKS = pd.DataFrame(
    [(s, c, round(100 * c), c / 40, c / 60, c / 20) for s in ("student:default", "rules") for c in (0.2, 0.6, 1.0)],
    columns=["source", "coverage", "n_reports", "value", "low", "high"],
)
BUCKET_RATES = pd.DataFrame(
    [
        (task, role, label, n, 0.1, 0.0, 0.3)
        for task in ("choice", "open")
        for role in ("student", "teacher")
        for label, n in (("all decisions", 900), ("hedge", 12))
    ],
    columns=["task", "role", "label", "tries", "value", "low", "high"],
)
FATES = pd.DataFrame({"corrected": [9, 2], "shared": [3, 0], "added": [1, 4]}, index=["Edema", "Fracture"])
COUNTS = pd.DataFrame({"train": range(13), "test": range(13)}, index=list(CATEGORIES))

FIGURES = {
    "category_counts": lambda: figures.category_counts(COUNTS),
    "one series": lambda: figures.category_counts(COUNTS["train"]),
    "report_lengths": lambda: figures.report_lengths(REPORTS),
    "score_forest": lambda: figures.score_forest(SCORES),
    "f1_bars": lambda: figures.f1_bars(SCORES[(SCORES["label"] == "micro") & (SCORES["metric"] == "f1")]),
    "paired_forest": lambda: figures.paired_forest(DIFFERENCES),
    "named differences": lambda: figures.paired_forest({"tuned against untuned": DIFFERENCES[1]}),
    "risk_curve": lambda: figures.risk_curve(RISKS, levels={"rules, all reports": 0.03}),
    "growth_curve": lambda: figures.growth_curve(
        pd.DataFrame({"reports": ["general", "cohort"] * 2, "minutes": [1, 1, 2, 2], "f1": [0.1, 0.2, 0.5, 0.4]})
    ),
    "loss_curve": lambda: figures.loss_curve(
        pd.DataFrame({"step": range(1, 101), "loss": 3 / np.arange(1, 101)})
    ),
    "a short run": lambda: figures.loss_curve(pd.DataFrame({"step": [1, 2], "loss": [3.0, 2.0]})),
    "sensitivity": lambda: figures.sensitivity_specificity(
        pd.concat([confusion(CURATED, t, task="choice") for t in TABLES])
    ),
    "agreement": lambda: figures.disagreement_heatmap(agreement([CURATED, *TABLES], task="choice")),
    "error_shares": lambda: figures.error_shares(SHARES),
    "bucket_shares": lambda: figures.bucket_shares(BUCKET_RATES),
    "fate_bars": lambda: figures.fate_bars(FATES),
    "power_curve": lambda: figures.power_curve(POWER, gap=0.04, n_reports=100),
    "quality_dial": lambda: figures.quality_dial(DIAL, SCORES),
    "token_lengths": lambda: figures.token_lengths(LENGTHS, 300),
}


def png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    return buffer.getvalue()


def words(figure) -> list[str]:
    found = [
        t.get_text()
        for ax in figure.axes
        for t in [ax.title, ax.xaxis.label, *ax.get_yticklabels(), *ax.texts]
    ]
    return [*found, *(t.get_text() for legend in figure.legends for t in legend.get_texts())]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_white_wide_legible_and_deterministic(name):
    open_before, settings = plt.get_fignums(), dict(plt.rcParams)
    figure = FIGURES[name]()
    assert plt.get_fignums() == open_before and dict(plt.rcParams) == settings
    assert figure.get_figwidth() == figures.WIDTH and figure.get_facecolor() == (1, 1, 1, 1)
    assert png(figure) == png(FIGURES[name]())
    for ax in figure.axes[:1]:
        assert ax.get_title()
        assert min(t.get_fontsize() for t in [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts]) >= 11


def test_few_positives_are_marked_and_gray():
    figure = figures.score_forest(SCORES)
    rare = SCORES[SCORES["label"].isin(CATEGORIES) & (SCORES["n_positive"] < figures.FEW_POSITIVES)][
        "label"
    ].unique()
    starred = [w.removesuffix(" *") for w in words(figure) if w.endswith(" *")]
    assert starred == list(rare) and 0 < len(rare) < 13
    assert "fewer than 10 positives" in figure.axes[0].get_xlabel()
    pooled = figures.score_forest(SCORES[SCORES["label"].isin(["micro", "macro"])])
    assert not any("*" in w for w in words(pooled)) and "positives" not in pooled.axes[0].get_xlabel()


def test_few_decisions_are_marked_and_gray():
    figure = figures.bucket_shares(BUCKET_RATES)
    assert {w for w in words(figure) if w.endswith(" *")} == {"hedge *"}
    assert "fewer than 30 decisions" in figure.axes[0].get_xlabel()


def test_corrected_errors_lie_left_and_those_of_the_student_right():
    bars = figures.fate_bars(FATES).axes[0].containers
    reach = {bar.get_label(): [(p.get_x(), p.get_x() + p.get_width()) for p in bar] for bar in bars}
    assert reach["corrected"] == [(-9, 0), (-2, 0)]
    assert reach["shared"] == [(0, 3), (0, 0)] and reach["added"] == [(3, 4), (0, 4)]


def test_dots_sit_at_the_scores():
    figure = figures.score_forest(SCORES[SCORES["label"] == "micro"])
    drawn = [
        c.get_offsets()[0, 0]
        for c in figure.axes[0].collections
        if len(c.get_offsets()) and c.get_zorder() == 3
    ]
    wanted = SCORES[(SCORES["label"] == "micro") & (SCORES["metric"] == "f1")]["value"].tolist()
    assert drawn == pytest.approx(wanted)


def test_labels_without_a_score_leave_a_gap():
    scores = SCORES.assign(value=np.nan, low=np.nan, high=np.nan)
    png(figures.score_forest(scores))
    png(figures.f1_bars(scores[(scores["label"] == "micro") & (scores["metric"] == "f1")]))
    png(figures.paired_forest([DIFFERENCES[0] | {"value": np.nan, "low": np.nan, "high": np.nan}]))


def test_the_dial_draws_every_source_at_its_score():
    figure = figures.quality_dial(DIAL, SCORES)
    left = figure.axes[0]
    f1 = SCORES[(SCORES["label"] == "micro") & (SCORES["metric"] == "f1")]
    assert [line.get_ydata()[0] for line in left.lines[1:]] == pytest.approx(f1["value"].tolist())
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["simulated, by setting", *f1["source"]]
    unknown = SCORES.assign(value=np.nan, low=np.nan, high=np.nan)
    png(figures.quality_dial(DIAL, unknown))


def test_shares_of_errors_say_how_many_statements_they_rest_on():
    assert {"a list (1,200)", "a hedge (30)", "rules", "chat"} <= set(words(figures.error_shares(SHARES)))


def test_empty_reports_are_said():
    assert "1 of them empty" in figures.report_lengths(REPORTS).axes[0].get_title()
    png(figures.report_lengths(REPORTS[:1]))
    png(figures.token_lengths(LENGTHS[:0], 300))


def test_bad_input_is_named():
    two = pd.concat([SCORES, SCORES.assign(policy="ignore")])
    with pytest.raises(RadbookError, match="one policy, but scores has certain, ignore"):
        figures.score_forest(two)
    with pytest.raises(RadbookError, match="f1_bars shows one label"):
        figures.f1_bars(SCORES)
    with pytest.raises(RadbookError, match="score_forest: there is no F1 to draw"):
        figures.score_forest(SCORES[SCORES["metric"] == "recall"])
    with pytest.raises(RadbookError, match="lacks the columns loss"):
        figures.loss_curve(pd.DataFrame({"step": [1]}))
    with pytest.raises(RadbookError, match="no curve to draw"):
        figures.risk_curve(RISKS.iloc[:0])
    with pytest.raises(RadbookError, match="no difference"):
        figures.paired_forest([])
    with pytest.raises(RadbookError, match="score_forest shows one reference, but scores has curated, reader"):
        figures.score_forest(pd.concat([SCORES, SCORES.assign(reference="reader")]))
    with pytest.raises(RadbookError, match="bucket_shares: there is no share to draw"):
        figures.bucket_shares(BUCKET_RATES.iloc[:0])
    with pytest.raises(RadbookError, match="disagreement_heatmap: there is no cell to draw"):
        figures.disagreement_heatmap(pd.DataFrame())


def test_a_list_of_differences_keeps_every_row_and_names_what_tells_them_apart():
    one = {"a": "rules", "b": "x", "task": "choice", "label": "micro", "metric": "f1", "policy": "certain"}
    one |= {"value": 0.1, "low": 0.0, "high": 0.2}
    changes = [{}, {"task": "open"}, {"label": "all", "metric": "exact_match"}, {"metric": "recall"}]
    changes += [{"policy": "u-one"}, {"label": "Edema"}]
    figure = figures.paired_forest([one | change for change in changes])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "rules minus x, choice, F1, certain",
        "rules minus x, open, F1, certain",
        "rules minus x, choice, exact match, certain",
        "rules minus x, choice, recall, certain",
        "rules minus x, choice, F1, u-one",
        "rules minus x, Edema, choice, F1, certain",
    ]
    twice = figures.paired_forest([one, one])
    assert [tick.get_text() for tick in twice.axes[0].get_yticklabels()] == ["rules minus x"] * 2


@pytest.mark.parametrize(("setting", "named"), [(["all", "half"], "all"), ([0.5, 1.0], "0.5")])
def test_the_lines_of_a_sweep_may_be_named_by_words_or_numbers(setting, named):
    point = {"task": "choice", "source": "student", "rate": 0.1, "value": 0.5, "low": 0.4, "high": 0.6}
    points = pd.DataFrame([point | {"share": share} for share in setting])
    assert f"student, share {named}" in words(figures.sweep_curve(points, "rate", lines="share"))


def test_the_power_curve_marks_the_difference_and_the_size():
    figure = figures.power_curve(POWER, gap=0.04, n_reports=100)
    assert {*POWER, "twice 0.04", "100 reports"} <= set(words(figure))
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(n) for n in SIZES]
    drawn = [list(line.get_ydata()) for line in ax.lines]
    assert drawn[: len(POWER)] == [rows["width"].tolist() for rows in POWER.values()]
    assert [0.08, 0.08] in drawn
    unknown = {name: rows.assign(width=np.nan) for name, rows in POWER.items()}
    with pytest.raises(RadbookError, match="no pair with a known width"):
        figures.power_curve(unknown, gap=0.04, n_reports=100)


@pytest.mark.parametrize("reach", [0.004, 0.07, 0.3])
def test_the_ticks_of_differences_stand_apart(reach):
    figure = figures.paired_forest({"one": DIFFERENCES[0] | {"low": -reach, "value": 0.0, "high": reach}})
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    ticks = [t for t in figure.axes[0].get_xticklabels() if low <= t.get_position()[0] <= high]
    boxes = [t.get_window_extent() for t in ticks]
    assert len(boxes) > 2
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(boxes))
