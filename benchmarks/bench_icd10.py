"""ICD-10-CM: seconds until the edition answers in a new process, against importing the library it was packed from."""

import subprocess
import sys

_OURS = "from radbook.icd10 import candidates, map_phrase; map_phrase('lung abscess'), candidates('lung abscess')"
_THEIRS = "import warnings; warnings.simplefilter('ignore'); import simple_icd_10_cm as cm; cm.get_description('J85.2')"
_TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def measure(*, rounds: int = 5) -> list[tuple[str, float, str]]:
    """Time the first answers of a fresh process, imports included; best of `rounds`, the two in turn."""
    seconds: dict[str, list[float]] = {_OURS: [], _THEIRS: []}
    for _ in range(rounds):
        for code, times in seconds.items():
            times.append(float(subprocess.check_output([sys.executable, "-c", _TIMED.format(code)])))
    ours, theirs = (min(times) for times in seconds.values())
    return [
        ("ICD-10-CM: import, first code and first candidates", ours, "s"),
        ("ICD-10-CM: import of simple-icd-10-cm", theirs, "s"),
        ("ICD-10-CM: ours against that import", theirs / ours, "times as fast"),
    ]
