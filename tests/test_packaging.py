"""What is installed: declared once, pinned once, the same for pip and conda, and what the code imports."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import radbook

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "bs4": "beautifulsoup4"}
# Installed by the Makefile without its dependencies; the last two come with packages that need exactly them.
# simple-icd-10-cm makes the packaged edition of ICD-10-CM anew.
APART = {"unsloth", "unsloth-zoo", "packaging", "jupyter-book", "simple-icd-10-cm"}


def names(requirements) -> set[str]:
    return {canonicalize_name(Requirement(r).name) for r in requirements}


EXTRAS = {name: names(listed) for name, listed in PROJECT["optional-dependencies"].items()}
TEST = EXTRAS["test"]
RUNTIME = names(PROJECT["dependencies"]).union(*(EXTRAS[name] for name in ("book", "sweep", "excel", "llm", "train", "smollm2")))


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def imported(paths) -> set[str]:
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {a.name for a in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module)
    tops = {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - {"radbook", "tools"}
    return {canonicalize_name(IMPORTED_AS.get(name, name)) for name in tops}


def test_every_dependency_is_pinned_to_one_public_version():
    assert RUNTIME | TEST | {"unsloth", "unsloth-zoo", "torchxrayvision"} <= pins().keys()
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in pins().values())


def test_conda_gets_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    packages = dict(line.split("==") for line in lines if not line.startswith("--"))
    assert {"--constraint constraints.txt", "--editable ."} == {line for line in lines if line.startswith("--")}
    assert names(packages) == RUNTIME | TEST
    assert {canonicalize_name(n): v for n, v in packages.items()} == {n: pins()[n] for n in RUNTIME | TEST}
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert python.split("=")[1] == PROJECT["requires-python"].removeprefix(">=")
    apart = "pip install --no-deps -c constraints.txt unsloth unsloth_zoo torchxrayvision"
    assert apart in (ROOT / "environment.yml").read_text()


def test_the_library_imports_what_is_declared():
    undeclared = imported([*(ROOT / "radbook").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]) - RUNTIME - APART
    assert undeclared == set()
    ours = {p.stem.replace("_", "-") for folder in ("tests", "benchmarks") for p in (ROOT / folder).rglob("*.py")}
    undeclared = imported([*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
    # What a benchmark compares with lives in an environment of its own.
    peers = names(
        line
        for path in (ROOT / "benchmarks").glob("*requirements.txt")
        for line in path.read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert undeclared - RUNTIME - TEST - APART - ours - peers - {"tools"} == set()


def test_labels_and_scores_need_no_extra_and_what_does_names_it():
    lacking = [name.replace("-", "_") for extra in ("book", "sweep", "excel", "llm", "train") for name in EXTRAS[extra]]
    lacking = sorted({*lacking} - {"torch", "dask"})  # SciPy looks into these two if they are there
    program = f"""if True:
        import sys
        sys.modules.update(dict.fromkeys({lacking}))
        import radbook.corpora, radbook.evaluation, radbook.icd10, radbook.pipeline.sweep, radbook.reporting.figures
        from radbook.core.errors import RadbookError
        from radbook.teachers.rules import RuleTeacher
        from radbook.pipeline.runner import run_chapters
        RuleTeacher().label(radbook.corpora.load_corpus("synthetic", n_reports=40)[0])
        for needs in (lambda: __import__("radbook.student"), lambda: __import__("radbook.book"), run_chapters):
            try:
                needs()
            except RadbookError as error:
                print(error)
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    told = re.findall(r"^this installation lacks \w.*pip install -e '\.\[(\w+)\]'", done.stdout, re.MULTILINE)
    assert told == ["train", "book", "book"], done.stdout + done.stderr


def test_notebooks_import_what_is_declared(tmp_path):
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        script = tmp_path / f"{path.stem}.py"
        script.write_text("\n".join("".join(c["source"]) for c in cells))
        assert imported([script]) - {"ipython"} <= RUNTIME, path.name


def test_the_command_of_ci_is_the_one_of_the_readme():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
    assert "make test" in (ROOT / "README.md").read_text()


def test_the_version_and_the_data_files_are_part_of_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-data"] == {"radbook": ["resources/**/*"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", radbook.__version__)
    assert settings["dynamic"]["version"] == {"attr": "radbook.__version__"}
