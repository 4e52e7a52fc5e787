"""Figures: the right marks, on white, legible, and one clear message for input they cannot draw."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import same_color

from radbook.core.errors import RadbookError
from radbook.core.findings import finding, label_row
from radbook.core.ontology import CATEGORIES
from radbook.evaluation import compare, confusion, paired_difference, paired_power, score
from radbook.evaluation.power import SIZES
from radbook.reporting import figures
from radbook.reporting.figures.style import WIDTH


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
CONFUSIONS = pd.concat([confusion(compare(CURATED, t, task="choice")) for t in TABLES])
DIFFERENCES = {
    f"student minus {t['source'][0]}": paired_difference(CURATED, TABLES[1], t, task="choice", n_bootstrap=40)
    for t in TABLES[::2]
}
POWER = {
    f"rules and {t['source'][0]}": paired_power(CURATED, TABLES[0], t, task="choice")
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
MICRO_F1 = SCORES[(SCORES["label"] == "micro") & (SCORES["metric"] == "f1")]

FIGURES = {
    "report_lengths": lambda: figures.report_lengths(REPORTS),
    "score_forest": lambda: figures.score_forest(SCORES),
    "f1_bars": lambda: figures.f1_bars(SCORES),
    "paired_forest": lambda: figures.paired_forest(DIFFERENCES),
    "risk_curve": lambda: figures.risk_curve(RISKS, levels={"rules, all reports": 0.03}),
    "sensitivity": lambda: figures.sensitivity_specificity(CONFUSIONS),
    "error_shares": lambda: figures.error_shares(SHARES),
    "bucket_shares": lambda: figures.bucket_shares(BUCKET_RATES),
    "fate_bars": lambda: figures.fate_bars(FATES),
    "power_curve": lambda: figures.power_curve(POWER, gap=0.04, n_reports=100),
    "quality_dial": lambda: figures.quality_dial(DIAL, SCORES),
}


def words(figure) -> list[str]:
    found = [
        t.get_text()
        for ax in figure.axes
        for t in [ax.title, ax.xaxis.label, *ax.get_yticklabels(), *ax.texts]
    ]
    return [*found, *(t.get_text() for legend in figure.legends for t in legend.get_texts())]


def dots(ax) -> list[tuple[list[float], list[int], np.ndarray]]:
    """Values, rows and colors of the dots of each source."""
    drawn = [c for c in ax.collections if c.get_zorder() == 3]
    return [(*np.ma.filled(c.get_offsets(), np.nan).T.tolist(), c.get_facecolor()) for c in drawn]


def whiskers(ax) -> list[list[float]]:
    """Low and high ends of each interval, source after source."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [path.vertices[:, 0].tolist() for c in lines for path in c.get_paths()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_white_wide_and_legible_and_leaves_pyplot_as_it_was(name):
    open_before, settings = plt.get_fignums(), dict(plt.rcParams)
    figure = FIGURES[name]()
    assert plt.get_fignums() == open_before and dict(plt.rcParams) == settings
    assert figure.get_figwidth() == WIDTH and figure.get_facecolor() == (1, 1, 1, 1)
    figure.canvas.draw()
    ax = figure.axes[0]
    assert ax.get_title()
    assert min(t.get_fontsize() for t in [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts]) >= 11


@pytest.mark.parametrize("name", ["score_forest", "sensitivity", "error_shares", "bucket_shares", "quality_dial", "risk_curve"])
def test_sources_differ_by_color_and_by_marker(name):
    figure = FIGURES[name]()
    keys = figure.legends[0].legend_handles
    looks = [k.get_paths()[0].vertices.tobytes() if hasattr(k, "get_paths") else k.get_marker() + k.get_linestyle() for k in keys]
    colors = [k.get_facecolor().tobytes() if hasattr(k, "get_paths") else str(k.get_color()) for k in keys]
    assert len(keys) >= 2 and len(set(colors)) == len(keys)
    assert len(set(looks)) == len(keys) or name == "quality_dial"  # there the other panel has the markers


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
    reach = {bar.get_label(): [tuple(sorted((p.get_x(), p.get_x() + p.get_width()))) for p in bar] for bar in bars}
    assert reach["corrected"] == [(-9, 0), (-2, 0)]
    assert reach["shared"] == [(0, 3), (0, 0)] and reach["added"] == [(3, 4), (0, 4)]


def test_dots_and_intervals_sit_at_the_scores():
    micro = SCORES[SCORES["label"] == "micro"]
    for figure in (figures.score_forest(micro), figures.f1_bars(SCORES)):
        values = [x for xs, _, _ in dots(figure.axes[0]) for x in xs]
        assert values == pytest.approx(MICRO_F1["value"].tolist())
        assert np.array(whiskers(figure.axes[0])) == pytest.approx(MICRO_F1[["low", "high"]].to_numpy())
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    assert bars == pytest.approx(MICRO_F1["value"].tolist())
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == MICRO_F1["source"].tolist()


def test_each_panel_has_its_measure_and_each_row_its_label():
    figure = figures.sensitivity_specificity(CONFUSIONS)
    names = [t.get_text().removesuffix(" *") for t in figure.axes[0].get_yticklabels()]
    for ax, measure in zip(figure.axes, ("sensitivity", "specificity"), strict=True):
        assert ax.get_title() == measure.capitalize()
        for (values, rows, _), (_, own) in zip(dots(ax), CONFUSIONS.groupby("source", sort=False), strict=True):
            wanted = own.set_index("label").loc[names, measure].astype(float).tolist()
            assert values == pytest.approx(wanted, nan_ok=True) and np.round(rows).tolist() == list(range(13))
    few = CONFUSIONS.iloc[:13]["n_positive"].lt(figures.FEW_POSITIVES).tolist()
    gray = [[same_color(color, "0.6") for color in dots(ax)[0][2]] for ax in figure.axes]
    assert gray == [few, [False] * 13] and any(few) and not all(few)


def test_labels_without_a_score_leave_a_gap():
    unknown = dict.fromkeys(("value", "low", "high"), np.nan)
    scores, difference = SCORES.assign(**unknown), next(iter(DIFFERENCES.values())) | unknown
    for figure in (figures.score_forest(scores), figures.f1_bars(scores), figures.paired_forest({"a": difference})):
        figure.canvas.draw()
        assert np.isnan([x for xs, _, _ in dots(figure.axes[0]) for x in xs]).all()


def test_a_source_without_a_label_leaves_its_row_empty():
    values, _, _ = dots(figures.error_shares(SHARES).axes[0])[1]
    assert values == pytest.approx([0, np.nan], nan_ok=True)


def test_lengths_are_counted():
    reports = figures.report_lengths(REPORTS).axes[0]
    assert sum(bar.get_height() for bar in reports.patches) == 59 and reports.lines[0].get_xdata()[0] == 90


def test_curves_run_through_their_values():
    ax = figures.risk_curve(RISKS, levels={"rules, all reports": 0.03}).axes[0]
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert lines == {"student:default": [0.005, 0.015, 0.025], "rules": [0.005, 0.015, 0.025], "rules, all reports": [0.03, 0.03]}
    assert len(ax.collections) == 1  # the band of the first source alone


def test_the_dial_draws_every_source_at_its_score():
    figure = figures.quality_dial(DIAL, SCORES)
    left, right = figure.axes
    assert [line.get_ydata()[0] for line in left.lines[1:]] == pytest.approx(MICRO_F1["value"].tolist())
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["simulated, by setting", *MICRO_F1["source"]]
    micro = SCORES[SCORES["label"] == "micro"].pivot(index="source", columns="metric", values="value")
    micro = micro.loc[MICRO_F1["source"], ["recall", "precision"]].to_numpy()
    assert [c.get_offsets()[0].tolist() for c in right.collections if c.get_zorder() == 3] == pytest.approx(micro)
    figures.quality_dial(DIAL, SCORES.assign(value=np.nan, low=np.nan, high=np.nan)).canvas.draw()


def test_shares_of_errors_say_how_many_statements_they_rest_on():
    assert {"a list (1,200)", "a hedge (30)", "rules", "chat"} <= set(words(figures.error_shares(SHARES)))


def test_empty_reports_are_said():
    assert "1 of them empty" in figures.report_lengths(REPORTS).axes[0].get_title()
    figures.report_lengths(REPORTS[:1]).canvas.draw()


def test_bad_input_is_named():
    two = pd.concat([SCORES, SCORES.assign(policy="ignore")])
    with pytest.raises(RadbookError, match="one policy, but scores has certain, ignore"):
        figures.score_forest(two)
    with pytest.raises(RadbookError, match="f1_bars shows one policy"):
        figures.f1_bars(two)
    with pytest.raises(RadbookError, match="score_forest: there is no F1 to draw"):
        figures.score_forest(SCORES[SCORES["metric"] == "recall"])
    with pytest.raises(RadbookError, match="no curve to draw"):
        figures.risk_curve(RISKS.iloc[:0], levels={})
    with pytest.raises(RadbookError, match="no difference"):
        figures.paired_forest({})
    with pytest.raises(RadbookError, match="score_forest shows one reference, but scores has curated, reader"):
        figures.score_forest(pd.concat([SCORES, SCORES.assign(reference="reader")]))
    with pytest.raises(RadbookError, match="bucket_shares: there is no share to draw"):
        figures.bucket_shares(BUCKET_RATES.iloc[:0])


def test_differences_are_named_by_their_rows():
    ax = figures.paired_forest(DIFFERENCES).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list(DIFFERENCES)
    assert dots(ax)[0][0] == pytest.approx([d["value"] for d in DIFFERENCES.values()])
    assert not ax.figure.legends


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
    figure = figures.paired_forest({"one": next(iter(DIFFERENCES.values())) | {"low": -reach, "value": 0.0, "high": reach}})
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    ticks = [t for t in figure.axes[0].get_xticklabels() if low <= t.get_position()[0] <= high]
    boxes = [t.get_window_extent() for t in ticks]
    assert len(boxes) > 2
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(boxes))
