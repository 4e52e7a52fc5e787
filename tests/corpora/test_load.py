import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.schema import LABELS, REPORTS, check
from radbook.corpora import SHARING, load_corpus


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "mine.csv"
    pd.DataFrame({"text": [f"Report {i}." for i in range(200)], "labels": "Edema"}).to_csv(path, index=False)
    return path


def test_table_through_the_one_door(csv_file):
    reports, curated = load_corpus("table", path=csv_file, seed=1, label_column="labels")
    check(reports, REPORTS)
    check(curated, LABELS)
    assert len(reports) == len(curated) == 200
    assert set(reports["split"]) == {"train", "dev", "test"}


def test_a_drawn_part_keeps_its_splits_and_labels(csv_file):
    whole, _ = load_corpus("table", path=csv_file, seed=1)
    part, curated = load_corpus("table", path=csv_file, seed=1, n_reports=50, label_column="labels")
    assert len(part) == 50
    assert curated["report_id"].tolist() == part["report_id"].tolist()
    split = whole.set_index("report_id")["split"]
    assert part["split"].tolist() == split[part["report_id"]].tolist()
    assert len(load_corpus("table", path=csv_file, n_reports=0)[0]) == 200


@pytest.mark.parametrize("n_reports", [None, 50, 2400])
def test_how_many_reports_a_file_has_is_said_beside_those_taken(csv_file, n_reports):
    reports, _ = load_corpus("table", path=csv_file, n_reports=n_reports)
    assert (len(reports), reports.attrs["n_available"]) == (min(n_reports or 200, 200), 200)


def test_terms_that_reach_no_label_are_counted_also_where_a_part_is_drawn(tmp_path):
    path = tmp_path / "reports.csv"
    rows = [(i, "Deformity;Lung/hypoinflation", "", "", "Clear.", "") for i in range(30)]
    columns = ["uid", "MeSH", "indication", "comparison", "findings", "impression"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    _, curated = load_corpus("openi", path=path, n_reports=10)
    assert len(curated) == 20 and curated.attrs == {"unmapped_terms": {"Deformity": 30}, "uncoded_terms": {"Lung": 30}}


def test_synthetic_through_the_one_door():
    reports, curated = load_corpus("synthetic", n_reports=30, seed=2, test_fraction=0.5)
    check(reports, REPORTS)
    check(curated, LABELS)
    assert len(reports) == 30
    assert len(curated) == 60
    assert (reports["split"] == "test").mean() > 0.35
    assert reports.groupby("patient_id")["split"].nunique().max() == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tabel", {}, "corpus='tabel' is none of .*did you mean table?"),
        ("table", {}, "needs a path"),
        ("openi", {"path": "nowhere.csv"}, "nowhere.csv does not exist"),
        ("table", {"path": "x.csv", "text_colum": "t"}, "no option 'text_colum'.*did you mean text_column?"),
        ("synthetic", {"path": "x.csv", "n_reports": 5}, "reads no file"),
        ("synthetic", {}, "needs n_reports"),
        ("table", {"path": "x.csv", "n_reports": -1}, "n_reports is -1"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(name, options, message):
    with pytest.raises(RadbookError, match=message) as caught:
        load_corpus(name, **options)
    assert "\n" not in str(caught.value)


def test_every_corpus_has_a_sharing_class():
    assert SHARING == {"synthetic": "open", "openi": "open", "table": "private"}


@pytest.mark.parametrize("n_reports", [-1, 10**26])
def test_a_number_of_reports_that_cannot_be_meant_is_refused(n_reports):
    with pytest.raises(RadbookError, match=rf"n_reports is {n_reports}: give a number of reports up to 10,000,000"):
        load_corpus("synthetic", n_reports=n_reports)
