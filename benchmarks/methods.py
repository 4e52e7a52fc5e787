"""Ways to train a student on unchecked labels, each against the teacher of its task, on one finished run.

python benchmarks/methods.py RUN [METHOD ...]

Every method trains on the training split of runs/RUN with the parameters of that run, and is scored by micro-F1 (policy
"certain"); the difference to the teacher is paired over patients.
A method is chosen on the development split; the test split then says how well it does.
A student takes a few minutes on two cores; what is finished stays in runs/RUN/methods/ and is not done again.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from radbook.core.files import read_json, write_json
from radbook.core.schema import CONTRACTS, read_table, write_table
from radbook.evaluation import paired_difference, score
from radbook.instructions import build_instructions
from radbook.pipeline.run import Run, open_run
from radbook.student import Student
from radbook.student.base import base_hash, load_base, load_tokenizer, prepare_training, prompt_style
from radbook.student.training.config import Settings
from radbook.student.training.finetune import finetune

NAMES = {"lora_rank": "rank", "lora_alpha": "alpha", "lora_targets": "targets"}
SAME = (
    "base_model",
    "learning_rate",
    "epochs",
    "batch_size",
    "accumulation",
    "warmup",
    "weight_decay",
    "seed",
)


class Bench:
    """One run's tables, and students trained on them in different ways."""

    def __init__(self, run: Run) -> None:
        self.run, self.parameters = run, run.manifest()["parameters"]
        self.reports, self.curated = run.read("reports"), run.read_labels("curated")
        self.labels = {
            task: self._of(run.read_labels(self.parameters[f"{task}_source"]), task)
            for task in ("choice", "open")
        }
        self.train = self.reports[self.reports["split"] == "train"]
        self.held_out = self.reports[self.reports["split"] != "train"]

    def student(
        self,
        name: str,
        labels: dict[str, pd.DataFrame],
        *,
        opinion: pd.DataFrame | None = None,
        **other: object,
    ) -> Student:
        """Train a student on `labels`, or find it trained; `other` replaces fields of `Settings`."""
        p = self.parameters
        rows, _ = build_instructions(
            self.reports, labels, tokenizer=load_tokenizer(p["base_model"]),
            style=prompt_style(p["base_model"]), max_prompt_tokens=p["max_prompt_tokens"], second_opinion=opinion,
            seed=p["seed"],
        )  # fmt: skip
        settings = {name: p[name] for name in SAME} | {own: p[theirs] for theirs, own in NAMES.items()}
        folder = self.folder(name)
        finetune(rows, folder / "student", Settings(**settings | other))
        return Student.load(folder)

    def answers(self, name: str, student: Student, *, part: str = "held_out") -> pd.DataFrame:
        """Label the reports of a part, or read what this very student has answered to them before."""
        path, reports = self.folder(name) / f"{part}.parquet", getattr(self, part)
        asked = {"student": identity(student), "reports": _digest(reports["report_id"], reports["text"])}
        if not path.is_file() or read_json(path.with_suffix(".json")) != asked:
            write_table(student.label(reports), path, CONTRACTS["predictions"])
            write_json(asked, path.with_suffix(".json"))
        return read_table(path, CONTRACTS["predictions"])

    def folder(self, name: str) -> Path:
        return self.run.path / "methods" / name

    def figures(self, name: str, answers: pd.DataFrame) -> list[dict]:
        """Micro-F1 of each split and task with its interval, and the paired difference to the teacher of the task."""
        rows, plain = [], answers.drop(columns="reply")
        for split, task in ((split, task) for split in ("dev", "test") for task in self.labels):
            reports = self.reports[self.reports["split"] == split]
            asked = {"task": task, "reports": reports, "n_bootstrap": 2000, "seed": 1}
            own = score(self.curated, plain, **asked).set_index(["label", "metric"]).loc[("micro", "f1")]
            gap = paired_difference(self.curated, plain, self.labels[task], **asked)
            rows.append({"method": name, "split": split, "task": task, "f1": own["value"], "low": own["low"], "high": own["high"],
                         "to_teacher": gap["value"], "gap_low": gap["low"], "gap_high": gap["high"]})  # fmt: skip
        return rows

    def answers_as_labels(self, answers: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return what a labeler answered as labels to train on, by task."""
        return {task: self._of(answers, task) for task in self.labels}

    @staticmethod
    def _of(labels: pd.DataFrame, task: str) -> pd.DataFrame:
        return labels[labels["task"] == task].drop(columns="reply", errors="ignore")


def identity(student: Student) -> dict[str, str]:
    """Say which student it is: its base, its prompts and the weights of its adapter."""
    told = {"base": base_hash(student.base_model), "style": student.style}
    if student.adapter is not None:
        told["adapter"] = hashlib.sha256((student.adapter / "adapter_model.safetensors").read_bytes()).hexdigest()
    return told


def _digest(*columns: pd.Series) -> str:
    return hashlib.sha256(json.dumps([column.tolist() for column in columns]).encode()).hexdigest()


def untuned(bench: Bench, name: str) -> pd.DataFrame:
    """No training."""
    return bench.answers(name, Student.untuned(bench.parameters["base_model"]))


def joint(bench: Bench, name: str) -> pd.DataFrame:
    """All labels of both teachers, as the study merges them."""
    return bench.answers(name, bench.student(name, bench.labels))


def single(bench: Bench, name: str) -> pd.DataFrame:
    """One student per task."""
    parts = []
    for task, labels in bench.labels.items():
        answers = bench.answers(f"{name}-{task}", bench.student(f"{name}-{task}", {task: labels}))
        parts.append(answers[answers["task"] == task])
    return pd.concat(parts, ignore_index=True).assign(source=f"student:{name}")


def agreed(bench: Bench, name: str) -> pd.DataFrame:
    """Only labels that the untuned base shares with the teacher."""
    base = Student.untuned(bench.parameters["base_model"])
    opinion = bench.answers("untuned", base, part="train")
    return bench.answers(name, bench.student(name, bench.labels, opinion=opinion))


def late(bench: Bench, name: str) -> pd.DataFrame:
    """Only labels that the joint student still shares with its teacher after training."""
    first = bench.student("joint", bench.labels)
    opinion = bench.answers("joint", first, part="train")
    return bench.answers(name, bench.student(name, bench.labels, opinion=opinion))


def relabeled(bench: Bench, name: str) -> pd.DataFrame:
    """A second student learns from the first one's answers on the training split (self-training)."""
    first = bench.student("joint", bench.labels)
    labels = bench.answers_as_labels(bench.answers("joint", first, part="train"))
    return bench.answers(name, bench.student(name, labels))


def averaged(bench: Bench, name: str) -> pd.DataFrame:
    """The mean of the weight changes of three joint students of different seeds."""
    seed = bench.parameters["seed"]
    students = [bench.student("joint", bench.labels)]
    students += [bench.student(f"joint-seed-{s}", bench.labels, seed=s) for s in (seed + 1, seed + 2)]
    from peft import PeftModel

    target = bench.folder(name)
    model, _, _ = load_base(bench.parameters["base_model"], backend="peft")
    names = [f"seed_{k}" for k in range(len(students))]
    model = PeftModel.from_pretrained(model, str(students[0].adapter), adapter_name=names[0])
    for one, student in zip(names[1:], students[1:], strict=True):
        model.load_adapter(str(student.adapter), adapter_name=one)
    # "cat" lays the matrices side by side: their product is the mean of the products.
    model.add_weighted_adapter(names, [1 / len(names)] * len(names), "mean", combination_type="cat")
    model.save_pretrained(str(target), selected_adapters=["mean"])
    base = bench.parameters["base_model"]
    student = Student(base, source=f"student:{name}", style=prompt_style(base), adapter=target / "mean")
    return bench.answers(name, student)


def wide(bench: Bench, name: str) -> pd.DataFrame:
    """LoRA of four times the rank."""
    p = bench.parameters
    student = bench.student(name, bench.labels, rank=4 * p["lora_rank"], alpha=4 * p["lora_alpha"])
    return bench.answers(name, student)


METHODS: dict[str, Callable[[Bench, str], pd.DataFrame]] = {
    way.__name__: way for way in (untuned, joint, single, agreed, late, relabeled, averaged, wide)
}


def measure(run: str, names: list[str] | None = None) -> pd.DataFrame:
    """Train, label and score each method; one row per method, split and task."""
    bench = Bench(open_run(run))
    prepare_training(bench.parameters["base_model"], "auto")  # ahead of the libraries that Unsloth changes
    rows: list[dict] = []
    for name in names or METHODS:
        figures = bench.figures(name, METHODS[name](bench, name))
        print(pd.DataFrame(figures).round(3).to_string(index=False, header=not rows), flush=True)
        rows += figures
    return pd.DataFrame(rows)


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2:])
