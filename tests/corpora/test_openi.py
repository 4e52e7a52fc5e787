import io
import re
import tarfile
from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest

from radbook.core.errors import RadbookError
from radbook.core.ontology import CATEGORIES, FINDINGS, read_resource
from radbook.core.schema import LABELS, REPORTS, check
from radbook.corpora import load_corpus, openi
from radbook.corpora.mesh import curate
from radbook.corpora.openi import automatic_terms, packaged_archive, published_test_ids, read_openi

FIGURES = {
    "Lung Opacity": 455,
    "Cardiomegaly": 285,
    "Support Devices": 262,
    "Atelectasis": 258,
    "Pleural Effusion": 118,
    "Lung Lesion": 96,
    "Edema": 73,
    "Fracture": 62,
    "Pleural Other": 40,
    "Pneumonia": 35,
    "Consolidation": 22,
    "Enlarged Cardiomediastinum": 20,
    "Pneumothorax": 18,
}
ROWS = [
    ("2", "Cardiomegaly/mild;Fractures, Bone/ribs/left", "Cough.", "", "The heart is large.", "Large heart."),
    ("10", "normal", "", "None.", "Clear lungs.", ""),
    ("11", "No Indexing", "", "", "", ""),
]
XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{uid}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">{comparison}</AbstractText>
<AbstractText Label="INDICATION">{indication}</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation>
<MeSH>{mesh}<automatic>machine made</automatic></MeSH><parentImage id="CXR{uid}_IM-1"/></eCitation>
"""


def xml_of(row):
    uid, mesh, indication, comparison, findings, impression = row
    major = "".join(f"<major>{term}</major>" for term in mesh.split(";") if term != "No Indexing")
    fields = {"indication": indication, "comparison": comparison, "findings": findings, "impression": impression}
    return XML.format(uid=uid, mesh=major, **fields)


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "reports.csv"
    frame = pd.DataFrame(ROWS, columns=["uid", "MeSH", "indication", "comparison", "findings", "impression"])
    frame.assign(Problems="", image="PA").to_csv(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "ecgen-radiology"
    path.mkdir()
    for row in ROWS:
        (path / f"{row[0]}.xml").write_text(xml_of(row), encoding="utf-8")
    return path


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_the_three_forms_give_the_same_tables(csv_file, folder, tmp_path):
    members = [(f"ecgen-radiology/{row[0]}.xml", xml_of(row).encode()) for row in reversed(ROWS)]
    archive = archive_of(tmp_path / "NLMCXR_reports.tgz", members)
    reports, curated = read_openi(csv_file)
    check(load_corpus("openi", path=csv_file)[0], REPORTS)
    check(curated, LABELS)
    for other in (folder, archive):
        again, labels = read_openi(other)
        pd.testing.assert_frame_equal(again, reports)
        pd.testing.assert_frame_equal(labels, curated)
    assert reports["report_id"].tolist() == ["CXR2", "CXR10", "CXR11"]
    assert reports["text"].tolist() == [
        "INDICATION: Cough.\nFINDINGS: The heart is large.\nIMPRESSION: Large heart.",
        "COMPARISON: None.\nFINDINGS: Clear lungs.",
        "",
    ]
    codes = {(r.report_id, r.task): [f["code"] for f in r.findings] for r in curated.itertuples()}
    assert codes["CXR2", "choice"] == ["Cardiomegaly", "Fracture"]
    assert codes["CXR2", "open"] == ["I51.7", "S22.39XA"]
    assert codes["CXR10", "choice"] == []
    assert curated["status"].tolist() == ["ok"] * 4 + ["failed"] * 2
    assert set(curated["note"][4:]) == {"not indexed"}


def test_every_term_is_mapped_or_counted():
    table = curate(["a", "b"], ["Lung/hypoinflation;Deformity/ribs;Deformity/clavicle", ""])
    assert table.attrs["unmapped_terms"] == Counter({"Deformity": 2})
    assert table.attrs["uncoded_terms"] == Counter({"Lung": 1})
    assert table["note"].tolist() == ["", "", "not indexed", "not indexed"]
    assert table["findings"].tolist() == [[], [], [], []]


@pytest.mark.parametrize(
    ("term", "concept"),
    [
        ("Calcinosis/aorta, thoracic", "aortic_atherosclerosis"),
        ("Calcinosis/lung/hilum/lymph nodes/left", "hilar_calcification"),
        ("Calcinosis/mediastinum", "hilar_calcification"),
        ("Calcinosis/lung/base/right", "granuloma"),
        ("Fractures, Bone/ribs/left/multiple", "rib_fractures"),
        ("Fractures, Bone/ribs/left", "rib_fracture"),
        ("Cicatrix/pleura/apex/left", "pleural_scar"),
        ("Cicatrix/lung/apex/left", "lung_scar"),
        ("Spine/degenerative/mild", "degenerative_spine"),
        ("Diaphragm/right/elevated/mild", "diaphragm_elevation"),
        ("Diaphragm/flattened", None),
        ("Opacity/breast/left", None),
        ("Nodule/lung/bilateral/multiple", "nodules"),
        ("Nodule/breast", None),
        ("Mediastinum/lymph nodes/enlarged", "lymphadenopathy"),
        ("Tube, Inserted/trachea, carina", "tracheostomy"),
        ("Catheters, Indwelling/left", "central_line"),
    ],
)
def test_qualifiers_decide_the_concept(term, concept):
    (choice, codes) = curate(["a"], [term])["findings"]
    expected = FINDINGS[concept] if concept else None
    assert [f["code"] for f in codes] == ([expected.icd10] if expected else [])
    assert [f["code"] for f in choice] == ([expected.category] if expected and expected.category else [])


def test_the_two_mesh_tables_agree_with_the_hub():
    for row in read_resource("mesh_findings.csv"):
        assert row["finding"] in FINDINGS, row
        re.compile(row["qualifiers"])
    assert {row["category"] for row in read_resource("mesh13.csv")} == set(CATEGORIES)


def test_figures_of_the_real_collection(openi_csv):
    reports, curated = load_corpus("openi", path=openi_csv)
    check(reports, REPORTS)
    check(curated, LABELS)
    choice = curated[curated["task"] == "choice"]
    assert len(reports) == 3080
    assert (choice["status"] == "ok").sum() == 3008
    assert (choice["note"] == "not indexed").sum() == 72
    assert dict(Counter(f["code"] for row in choice["findings"] for f in row)) == FIGURES


def test_concepts_and_categories_agree_on_the_real_collection(openi_csv):
    # A term that names a concept of a category must also give the report that category.
    terms = {t.strip() for cell in pd.read_csv(openi_csv, dtype=str)["MeSH"] for t in cell.split(";")}
    category_of = {f.icd10: f.category for f in FINDINGS.values() if f.icd10 and f.category}
    for term in sorted(terms - {"normal", "No Indexing"}):
        choice, codes = curate(["a"], [term])["findings"]
        implied = {category_of[f["code"]] for f in codes if f["code"] in category_of}
        # R91.8 and R93.89 stand for concepts of several categories; mesh13.csv leaves blood in the pleura out.
        if codes and codes[0]["code"] not in ("R91.8", "R93.89", "J94.2"):
            assert implied <= {f["code"] for f in choice}, term


def test_errors_name_what_is_wrong(csv_file, tmp_path):
    frame = pd.read_csv(csv_file, dtype=str, keep_default_na=False)
    cases = {
        "more than once": pd.concat([frame, frame.head(1)]),
        r"no column 'MeSH' \(MeSH of the CSV form of Open-i\)": frame.drop(columns="MeSH"),
        "row 2: column uid is empty": frame.assign(uid=["1", "", "3"]),
        "holds no": frame.head(0),
    }
    for message, broken in cases.items():
        path = tmp_path / "broken.csv"
        broken.to_csv(path, index=False)
        with pytest.raises(RadbookError, match=message):
            read_openi(path)
    with pytest.raises(RadbookError, match="does not exist"):
        read_openi(tmp_path / "nothing.csv")
    with pytest.raises(RadbookError, match=r"\.csv, a \.tgz"):
        read_openi(__file__)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RadbookError, match="holds no"):
        read_openi(tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"<eCitation>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><eCitation>&a;</eCitation>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><eCitation/>',
        b"\xff\xfe\xff",
        b" " * (openi._LARGEST_XML + 1),
    ],
    ids=["broken", "entity", "external", "bytes", "large"],
)
def test_hostile_xml_is_refused_by_name(content, tmp_path):
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "7.xml").write_bytes(content)
    reason = "is larger than 2000000 bytes" if len(content) > openi._LARGEST_XML else "is not readable XML"
    with pytest.raises(RadbookError, match=rf"7\.xml {reason}"):
        read_openi(tmp_path / "xml")
    with pytest.raises(RadbookError, match=r"7\.xml"):
        read_openi(archive_of(tmp_path / "a.tgz", [("x/7.xml", content)]))


def test_archives_are_read_in_memory_and_as_a_whole(tmp_path):
    outside = ("../../outside.xml", xml_of(ROWS[0]).encode())
    reports, _ = read_openi(archive_of(tmp_path / "a.tgz", [outside, ("x/notes.txt", b"hello")]))
    assert reports["report_id"].tolist() == ["CXR2"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]
    cut = tmp_path / "cut.tgz"
    cut.write_bytes((tmp_path / "a.tgz").read_bytes()[:-40])
    with pytest.raises(RadbookError, match=rf"cut\.tgz is no intact gzip file.*{openi.ARCHIVE_SHA256}"):
        read_openi(cut)


def test_a_csv_is_put_in_the_order_of_its_numbers_as_the_other_forms_are(csv_file):
    frame = pd.read_csv(csv_file, dtype=str, keep_default_na=False)
    frame.iloc[::-1].to_csv(csv_file, index=False)
    assert read_openi(csv_file)[0]["report_id"].tolist() == ["CXR2", "CXR10", "CXR11"]


def test_two_paragraphs_of_one_label_are_both_kept(folder):
    file = folder / "10.xml"
    second = '<AbstractText Label="FINDINGS">Old rib fracture.</AbstractText></Abstract>'
    file.write_text(file.read_text().replace("</Abstract>", second))
    assert read_openi(folder)[0]["findings"][1] == "Clear lungs. Old rib fracture."


def test_a_folder_is_read_whatever_the_case_of_the_endings(folder):
    (folder / "2.xml").rename(folder / "2.XML")
    assert read_openi(folder)[0]["report_id"].tolist() == ["CXR2", "CXR10", "CXR11"]


def test_without_a_path_the_archive_of_the_installed_package_is_read():
    reports, curated = load_corpus("openi")
    assert len(reports) == 3955 and (curated["status"] == "failed").sum() // 2 == 95


def test_archive_and_csv_agree_on_the_records_that_both_hold(openi_csv):
    (archive, archive_labels), (csv, csv_labels) = read_openi(packaged_archive()), read_openi(openi_csv)
    archive, csv = (t.set_index("report_id")["text"].str.split().str.join(" ") for t in (archive, csv))
    differ = csv[csv != archive.reindex(csv.index)]
    assert len(differ) == 2 and differ.str.contains("#NAME?", regex=False).all()  # a spreadsheet was there before us
    archive, csv = (
        {(r.report_id, r.task): [(f["code"], f["presence"]) for f in r.findings] for r in t.itertuples()}
        for t in (archive_labels, csv_labels)
    )
    assert csv.items() <= archive.items()


def test_a_missing_or_other_archive_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(openi, "find_spec", lambda name: None)
    with pytest.raises(RadbookError, match=r"pip install --no-deps torchxrayvision brings them; or give the path"):
        packaged_archive()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "NLMCXR_reports.tgz").write_bytes(b"something else")
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(openi, "find_spec", lambda name: package)
    with pytest.raises(RadbookError, match=r"is not the NLM's archive \(SHA-256 8fb6de7e"):
        packaged_archive()


def test_the_published_list_is_the_test_split_whatever_the_seed():
    one, two = (load_corpus("openi", seed=seed)[0].set_index("report_id")["split"] for seed in (1, 2))
    assert set(one.index[one == "test"]) == set(two.index[two == "test"]) == published_test_ids()
    assert not one.equals(two)
    assert 0.07 < (one == "dev").sum() / (one != "test").sum() < 0.13


def test_archive_and_folder_give_the_same_automatic_terms(folder, tmp_path):
    archive = tmp_path / "reports.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, arcname="ecgen-radiology")
    assert automatic_terms(folder) == automatic_terms(archive) == {f"CXR{k}": ["machine made"] for k in ("2", "10", "11")}
