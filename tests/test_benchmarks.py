"""The benchmarks run: small sizes, finite figures, and medspaCy's side too where its environment was built."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        spec = importlib.util.spec_from_file_location("radbook_benchmarks", BENCHMARKS / "run.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def test_every_figure_is_a_finite_number_or_says_why_there_is_none(bench):
    rows = [row for part in bench.figures(quick=True) for row in part]
    assert [why for _, figure, why in rows if figure is None] == ["--quick installs nothing"]
    measured = {what: figure for what, figure, _ in rows if figure is not None}
    assert len(measured) > 10 and all(map(math.isfinite, measured.values()))
    # Noise decides the growth between two sizes as small as these.
    assert all(figure >= 0 for what, figure in measured.items() if "to the power of" not in what)


def test_the_table_is_printed_and_a_missing_corpus_is_one_line(bench, capsys):
    assert bench.main(["--quick", "--openi", "nowhere.csv"]) == 2
    printed = capsys.readouterr()
    assert "reports/s" in printed.out and "times faster" in printed.out
    assert "nowhere.csv" in printed.err and "Traceback" not in printed.err


def test_the_lexicon_is_written_out_for_medspacy(bench):
    lexicon = bench.bench_medspacy.export()
    categories = dict(lexicon["phrases"])
    assert categories["pleural effusion"] == "Pleural Effusion"
    assert categories["tracheal collapse"] == "-"
    heart = [pattern for _, name, pattern in lexicon["patterns"] if name == "Cardiomegaly"]
    assert any(_matches(pattern, ["heart", "enlarged"]) for pattern in heart)
    assert any(_matches(pattern, ["enlarged", "heart"]) for pattern in heart)
    assert not any(_matches(pattern, ["spine", "enlarged"]) for pattern in heart)
    assert json.loads(json.dumps(lexicon)) == lexicon


def _matches(pattern, words):
    wanted = [token["LOWER"]["IN"] for token in pattern if "OP" not in token]
    return len(wanted) == len(words) and all(w in of for w, of in zip(words, wanted, strict=True))


def test_sentences_made_distinct_keep_their_findings(bench):
    label_rules = importlib.import_module("label_rules")
    text = "No pleural effusion. There is cardiomegaly."
    reports = pd.DataFrame({"report_id": ["a", "b"], "text": [text, text]})
    made = label_rules.make_distinct(reports["text"])
    assert made[0] == "No pleural effusion q0q1. There is cardiomegaly q0q0." and made[0] != made[1]
    teacher = label_rules.RuleTeacher()
    found = label_rules.present(teacher.label(reports.assign(text=made)))
    assert (
        found == label_rules.present(teacher.label(reports)) == {"a": ["Cardiomegaly"], "b": ["Cardiomegaly"]}
    )


def test_a_worker_answers_in_turn_and_says_its_last_line_when_it_ends(bench, tmp_path):
    rounds = importlib.import_module("rounds")
    script = tmp_path / "worker.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from rounds import serve\n"
        "def end(): raise SystemExit('out of paper')\n"
        "def chat(): print('chatter'); return 7\n"
        "serve({'chat': chat, 'end': end})\n"
    )
    with rounds.Worker(sys.executable, script) as worker:
        (answer,) = rounds.in_turn([(worker, "chat")], rounds=2)
        assert answer["answer"] == 7 and answer["cpu"] >= 0 and answer["wall"] >= 0
        with pytest.raises(rounds.Ended, match=r"worker\.py ended: out of paper"):
            worker.ask("end")


@pytest.mark.slow
def test_a_failed_installation_is_one_line(bench, tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("--no-index\nmedspacy==0.0.0\n")
    venv = tmp_path / "venv"
    why = bench.bench_medspacy.install(venv, requirements)
    assert why.startswith("cannot install medspaCy: ") and "medspacy==0.0.0" in why and "\n" not in why
    assert not bench.bench_medspacy.is_installed(venv, requirements)


@pytest.mark.slow
def test_medspacy_labels_what_the_rule_teacher_labels(bench, tmp_path):
    medspacy = bench.bench_medspacy
    if not medspacy.is_installed():
        pytest.skip("run `make bench` once to build medspaCy's environment and this test with it")
    texts = [
        "No pleural effusion. There is cardiomegaly.",
        "The heart is mildly enlarged.",
        "Possible left-sided pneumothorax.",
    ]
    reports, lexicon = tmp_path / "reports.jsonl", tmp_path / "lexicon.json"
    reports.write_text("".join(json.dumps({"report_id": t, "text": t}) + "\n" for t in texts))
    lexicon.write_text(json.dumps(medspacy.export()))
    with medspacy.Worker(
        medspacy.python_of(medspacy.VENV), BENCHMARKS / "label_medspacy.py", lexicon, reports
    ) as worker:
        found = {way: list(worker.ask(way)["answer"].values()) for way in medspacy.THEIRS}
    assert found["phrases"] == found["sentencizer"] == [["Cardiomegaly"], [], []]
    assert found["patterns"] == [["Cardiomegaly"], ["Cardiomegaly"], []]
