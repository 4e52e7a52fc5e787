"""Category names as people and models write them: any case, any separator, sometimes misspelled, denied or doubted.

A label column, a list that a model wrote and a JSON answer are read by the same rules, so that the same name means the same
in all of them.
Studies publish tables with a row per report and, per source, a column of names; there, what is repaired is listed, and what
fits no category is refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rapidfuzz import fuzz, process

from radbook.core.errors import RadbookError
from radbook.core.findings import Presence, finding, label_row, strongest
from radbook.core.ontology import CATEGORIES, NORMAL
from radbook.core.schema import LABELS, check
from radbook.corpora.tabular import patient_ids, read_columns, row_ids

__all__ = ["NEAR_MISS", "LabelColumns", "category_of", "folded", "named_row", "read_label_columns", "read_names", "sense"]

_SHOWN = 40  # characters of a misread name that a message repeats
NEAR_MISS = 85  # least rapidfuzz ratio (0-100) at which a misspelled category name is repaired
_CATEGORY_OF = {c.lower(): c for c in CATEGORIES}
_NOTHING = frozenset({NORMAL.lower(), "no finding", "no findings", "none", "nothing"})
_NEGATED = re.compile(r"(no|not|without|negative for)\b")
_HEDGED = re.compile(r"^(possible|possibly|probable|probably|likely|suspected|questionable)\s+|^\?+\s*|\s*\?+$", re.I)
# A slip of the pen leaves words: whatever holds a digit or a sign ("Pneumothorax=0", "r/o edema") says something else.
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*\.?")


class Name(NamedTuple):
    """A name as it is written, the category it stands for (None: it fits none or denies one), and its presence."""

    written: str
    category: str | None
    presence: Presence

    @property
    def repair(self) -> str:
        """What the name was taken for, where that took more than ignoring case, spaces and underscores; else ""."""
        if self.category is None or folded(self.written) == self.category.lower():
            return ""
        return self.category if self.presence == Presence.PRESENT else f"{self.category} ({self.presence})"


def folded(name: str) -> str:
    """Return a name without what makes no difference: case, underscores, blanks.

    >>> folded(" Lung_Opacity")
    'lung opacity'
    """
    return " ".join(name.lower().replace("_", " ").split())


def sense(name: str) -> tuple[Presence | None, str]:
    """Say how a name is meant (None: it stands for no finding at all), and give it without its hedge.

    >>> [str(sense(name)[0]) for name in ("Edema", "possible edema", "No edema", "No finding")]
    ['present', 'uncertain', 'absent', 'None']
    """
    plain = folded(name)
    if plain in _NOTHING:
        return None, name
    if _NEGATED.match(plain):
        return Presence.ABSENT, name
    bare = _HEDGED.sub("", name)
    return (Presence.PRESENT if bare == name else Presence.UNCERTAIN), bare


def category_of(name: str) -> str | None:
    """Return the category that a name without hedge or negation stands for, repairing a slip of the pen.

    A name with more words than the category is no slip: the word too many may deny it.

    >>> category_of("lung_opactiy"), category_of("pneumothorax no"), category_of("NoPneumothorax")
    ('Lung Opacity', None, None)
    """
    plain = folded(name)
    if plain in _CATEGORY_OF:
        return _CATEGORY_OF[plain]
    if len(plain) > 60 or plain.startswith("no") or not _WORDS.fullmatch(plain):
        return None
    near = process.extractOne(plain, list(_CATEGORY_OF), scorer=fuzz.ratio, score_cutoff=NEAR_MISS)
    return _CATEGORY_OF[near[0]] if near and len(plain.split()) <= len(near[0].split()) else None


def read_names(cell: str) -> list[Name]:
    """Read a cell of category names.

    Names stand between commas, semicolons or upright bars; brackets, quotes and case are ignored.
    "Normal" and an empty cell name nothing; a name that is denied is never taken for the finding.

    >>> [(n.written, n.category, str(n.presence)) for n in read_names("edema; ateletasis?, heart failure,")]
    [('edema', 'Edema', 'present'), ('ateletasis?', 'Atelectasis', 'uncertain'), ('heart failure', None, 'present')]
    >>> read_names("No finding")
    []
    """
    found = []
    for name in re.split(r"[,;|]", cell):
        name = name.strip(" \t\r\n[](){}'\"")
        presence, bare = sense(name)
        if folded(name) and presence is not None:
            found.append(Name(name, None if presence == Presence.ABSENT else category_of(bare), presence))
    return found


def named_row(report_id: str, source: str, names: list[Name]) -> dict:
    """Return the `labels` row of the findings that names stand for; one that is doubted and stated is present.

    Where a name was repaired or hedged, the row's status is "repaired" and its note says what was read.

    >>> row = named_row("7", "reader", read_names("Fracture, Edema?, edema"))
    >>> [(f["code"], f["presence"]) for f in row["findings"]], row["note"]
    ([('Edema', 'present'), ('Fracture', 'present')], "read 'Edema?' as Edema (uncertain)")
    """
    best = strongest((name.category, finding(name.category, name.presence)) for name in names if name.category)
    notes = dict.fromkeys(f"read {name.written!r} as {name.repair}" for name in names if name.repair)
    status = "repaired" if notes else "ok"
    ordered = [best[category] for category in CATEGORIES if category in best]
    return label_row(report_id, source, "choice", ordered, status=status, note="; ".join(notes))


class LabelColumns(NamedTuple):
    """What a published label table says.

    `tables` gives the `labels` table of task "choice" of each source; `reports` has report_id and patient_id, as `score`
    and `paired_table` take them; `repairs` has one row per name that was repaired or hedged: row (from 1, below the
    header), column, read, taken_for.
    """

    tables: Mapping[str, pd.DataFrame]
    reports: pd.DataFrame
    repairs: pd.DataFrame


def read_label_columns(
    path: str | Path,
    columns: Mapping[str, str],
    *,
    id_column: str | None = None,
    patient_column: str | None = None,
) -> LabelColumns:
    """Read a table with a column of category names per source.

    Parameters
    ----------
    path
        A file that `radbook.corpora.tabular.read_columns` reads.
    columns
        Source -> the column that holds its labels, such as {"reader 1": "human_label1"}.
        A cell names categories between commas, semicolons or bars, in any case; "Normal", "No Finding" or nothing means none.
        A hedged name ("Pneumonia?") is uncertain.
    id_column
        Column with a unique id; without one, the row number (from 1) is the id.
    patient_column
        Column with the patient's id; without one, or where it is blank, a report counts as a patient of its own.

    Returns
    -------
    LabelColumns
        A row with a repaired name has the status "repaired", and its note says what was read.

    Raises
    ------
    RadbookError
        For a column that is not there, an id that comes twice, or a name that fits no category or denies one ("no edema");
        the message names the row, the column and the nearest category.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "published.csv"
    ...     _ = file.write_text('id,first,second\\n7,"edema, ateletasis",Edema\\n8,,Normal\\n')
    ...     read = read_label_columns(file, {"reader 1": "first", "reader 2": "second"}, id_column="id")
    >>> [f["code"] for f in read.tables["reader 1"]["findings"][0]]
    ['Atelectasis', 'Edema']
    >>> read.repairs.values.tolist()
    [[1, 'first', 'ateletasis', 'Atelectasis']]
    """
    path = Path(path)
    if not columns:
        raise RadbookError(f"{path}: name at least one column of labels, as {{source: column}}")
    frame = read_columns(path, {**columns, "id_column": id_column, "patient_column": patient_column})
    ids = row_ids(path, frame, id_column)
    tables, repairs = {}, []
    for source, column in columns.items():
        rows = []
        for row, (report_id, cell) in enumerate(zip(ids, frame[column], strict=True), start=1):
            names = read_names(cell)
            rows.append(named_row(report_id, source, names))
            for name in names:
                if name.category is None:
                    shown = name.written if len(name.written) <= _SHOWN else f"{name.written[:_SHOWN]}..."
                    shown = repr(shown) if len(shown.split()) < 3 else "what stands there"  # a report, perhaps
                    nearest = process.extractOne(name.written.lower(), CATEGORIES, processor=str.lower, scorer=fuzz.ratio)
                    raise RadbookError(
                        f"{path}, row {row}, column {column}: {shown} is no category and none is near enough to repair it "
                        f"(the nearest is {nearest[0]}); correct the cell, or read another column"
                    )
                if name.repair:
                    repairs.append((row, column, name.written, name.repair))
        tables[source] = check(pd.DataFrame(rows), LABELS)
    reports = pd.DataFrame({"report_id": ids, "patient_id": patient_ids(frame, patient_column, ids)})
    return LabelColumns(tables, reports, pd.DataFrame(repairs, columns=["row", "column", "read", "taken_for"]))
