"""Pack what radbook needs of ICD-10-CM out of simple-icd-10-cm, which takes seconds to import.

python -m tools.icd10.pack_edition [FOLDER]

Without a folder, the files in `radbook/resources/` are replaced.
"""

import csv
import lzma
import sys
from pathlib import Path

from radbook.icd10.edition import EDITION, normalize_code

_ORIGIN = f"# origin: {EDITION}, public domain, through simple-icd-10-cm; made by tools/icd10/pack_edition.py"


def pack_edition(folder: str | Path) -> Path:
    """Write `icd10cm.tsv.xz` (code, leaf, descriptor, inclusion terms) and `icd10cm_blocks.csv` into a folder."""
    import simple_icd_10_cm as library

    lines, blocks = [], {}
    # A block of a single category has its category's name: both come under one key.
    for code in dict.fromkeys(library.get_all_codes(True)):
        if normalize_code(code) == code:
            wordings = (library.get_description(code), *library.get_inclusion_term(code))
            meaning, *terms = (" ".join(wording.split()) for wording in wordings)  # some hold tabs and line breaks
            lines.append("\t".join((code, "1" if library.is_leaf(code) else "0", meaning, "|".join(terms))))
        if len(code) == 3:
            name = library.get_ancestors(code)[0]  # the ancestors of a category are its block and its chapter
            blocks.setdefault(name, [" ".join(library.get_description(name).split())]).append(code)
    folder = Path(folder)
    # Sorted, so that a code is found without a dictionary of all of them.
    packed = lzma.compress("\n".join((_ORIGIN, *sorted(lines))).encode("utf-8"), preset=9)
    (folder / "icd10cm.tsv.xz").write_bytes(packed)
    with (folder / "icd10cm_blocks.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"{_ORIGIN}\n# categories: the three-character codes of the block, separated by spaces.\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("block", "name", "categories"))
        rows.writerows((name, meaning, " ".join(codes)) for name, (meaning, *codes) in blocks.items())
    return folder


if __name__ == "__main__":
    pack_edition(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "radbook" / "resources")
