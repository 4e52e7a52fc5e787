"""The student: a language model that labels reports, as the teachers do, after learning from their labels."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radbook.core.errors import RadbookError, choose
from radbook.core.files import read_json
from radbook.core.findings import Presence, label_row
from radbook.core.ontology import CATEGORIES
from radbook.core.schema import PREDICTIONS, check, check_reports
from radbook.corpora.sections import report_body
from radbook.student.base import base_commit, base_hash, base_name, load_base, load_tokenizer, prompt_style
from radbook.student.environment import free_memory
from radbook.student.generation.confidence import list_probabilities, named_from
from radbook.student.generation.generate import generate
from radbook.student.prompts import template_hash, token_ids
from radbook.tasks import TASKS, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Student"]

_AGAIN = "run chapter 06 (radbook.student.training.finetune) again"


class Student:
    """A labeler made of a base model, and of an adapter if it has been trained.

    Attributes
    ----------
    source
        What stands in the `source` column: "student:RUN", or "base:NAME" without an adapter.
    style
        The prompt style it is asked in.
    """

    def __init__(
        self, base_model: str, *, source: str, style: str, adapter: Path | None = None, commit: str | None = None
    ) -> None:
        self.base_model, self.source, self.style, self.adapter = base_model, source, style, adapter
        self._commit = commit
        self._loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None

    @classmethod
    def load(cls, folder: str | Path) -> "Student":
        """Load the student of a run.

        Parameters
        ----------
        folder
            A run's folder or its student/ folder.

        Raises
        ------
        RadbookError
            If there is no finished student, or the base or the prompts are not those it was trained with. (The weights of
            a hub's model are known when they are loaded, on first use.)
        """
        folder = Path(folder).absolute()
        home = folder / "student" if (folder / "student").is_dir() else folder
        run = home.parent.name if home.name == "student" else home.name
        if not (home / "settings.json").is_file() or not (home / "adapter").is_dir():
            raise RadbookError(
                f"{home} holds no finished student: run chapter 06 (radbook.student.training.finetune) first"
            )
        settings = read_json(home / "settings.json")
        needed = ("base_model", "prompt_style", "base_hash", "template_hash")
        if not isinstance(settings, dict) or not all(isinstance(settings.get(name), str) for name in needed):
            raise RadbookError(f"{home / 'settings.json'} is damaged: delete {home} and {_AGAIN}")
        base_model, style = settings["base_model"], settings["prompt_style"]
        if base_hash(base_model) != settings["base_hash"]:
            raise RadbookError(
                f"base_model {base_model} is not the one that the student in {home} was trained on: train it again"
            )
        if template_hash(load_tokenizer(base_model), style) != settings["template_hash"]:
            raise RadbookError(
                f"the prompts have changed since the student in {home} was trained: train it again with these prompts"
            )
        commit = settings.get("base_commit")
        return cls(base_model, source=f"student:{run}", style=style, adapter=home / "adapter", commit=commit)

    @classmethod
    def untuned(cls, base_model: str = "tiny") -> "Student":
        """Take a base model as it is."""
        return cls(base_model, source=f"base:{base_name(base_model)}", style=prompt_style(base_model))

    def model(self) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
        """Return the model, its adapter merged, and the tokenizer; they are loaded on first use."""
        if self._loaded is None:
            # Plain transformers: replies then do not depend on which backend trained the adapter.
            model, tokenizer, _ = load_base(self.base_model, backend="peft")
            commit = base_commit(model, self.base_model)
            if self._commit not in (None, commit):
                raise RadbookError(
                    f"base_model {self.base_model} is commit {commit} now, and the student was trained on {self._commit}: "
                    f"delete the student's folder and {_AGAIN}"
                )
            if self.adapter is not None:
                model = _with_adapter(model, self.adapter)
            elif getattr(model.config, "template_hash", None) not in (None, template_hash(tokenizer, self.style)):
                raise RadbookError(
                    f"the prompts have changed since the merged student in {self.base_model} was trained: "
                    "train and merge it again"
                )
            self._loaded = model.eval(), tokenizer
        return self._loaded

    def release(self) -> None:
        """Free the memory of the model; the next use loads it again."""
        self._loaded = None
        free_memory()

    def label(
        self,
        reports: pd.DataFrame,
        tasks: Sequence[str] = ("choice", "open"),
        *,
        max_new_tokens: int = 150,
        batch_size: int = 64,
        threshold: float = 0.0,
        progress: Callable[[str], None] | None = None,
    ) -> pd.DataFrame:
        """Label every report for every task.

        Parameters
        ----------
        reports, tasks
            What is read, and what is asked of each report.
        max_new_tokens, batch_size, progress
            As for `radbook.student.generation.generate.generate`.
        threshold
            In the choice task, name every category whose probability (see `confidence`) is at least this, whatever the
            list says; 0 leaves the list as it was written. A teacher that misses much teaches a student to name too
            little, and a threshold below a half makes up for it; choose it on reports that are not the test.

        Returns
        -------
        pandas.DataFrame
            The `predictions` table, one row per report and task, none left out: an empty report, a prompt too long for
            the model and an unreadable reply have status "failed" and a note that says so.
        """
        check_reports(reports)
        if not 0 <= threshold < 1:
            raise RadbookError(f"threshold is {threshold}: give a probability from 0 to below 1")
        for name in tasks:
            choose(name, TASKS, "tasks")
        ids, texts = reports["report_id"].tolist(), reports["text"].tolist()
        rows: list[dict] = []
        for name in tasks:
            task = TASKS[name]
            asked, notes = self._prompts(task, texts, max_new_tokens)
            tell = (lambda line, name=name: progress(f"{name}: {line}")) if progress else None
            options = {"max_new_tokens": max_new_tokens, "batch_size": batch_size, "progress": tell}
            replies = generate(*self.model(), list(asked.values()), **options)
            answered = dict(zip(asked, replies, strict=True))
            for k, report_id in enumerate(ids):
                reply = answered.get(k, "")
                findings, status, note = task.parse(reply, texts[k]) if k in answered else ([], "failed", notes[k])
                row = label_row(report_id, self.source, name, findings, status=status, note=note)
                rows.append({**row, "reply": reply})
        table = pd.DataFrame(rows, columns=list(PREDICTIONS.columns))
        if threshold and "choice" in tasks:
            stated = self.confidence(reports, table, progress=progress)
            table = named_from(table, stated, threshold)
        return check(table, PREDICTIONS)

    def confidence(
        self,
        reports: pd.DataFrame,
        predictions: pd.DataFrame,
        *,
        progress: Callable[[str], None] | None = None,
    ) -> pd.DataFrame:
        """Say how sure the student was of each of the 13 categories when it answered the choice task.

        It reads every prompt with its list once more and writes nothing, so it takes about as long as labeling the
        choice task; `radbook.student.generation.confidence` says what the probabilities mean.

        Parameters
        ----------
        reports
            The reports to look at.
        predictions
            What `label` returned for them, the choice task among it.
        progress
            As in `label`.

        Returns
        -------
        pandas.DataFrame
            One row per report and category: report_id, code, named (whether the student named it), probability (that
            the category is named, as the student sees it); unknown where the student gave no readable answer.
        """
        task = TASKS["choice"]
        own = predictions[(predictions["task"] == task.name) & (predictions["source"] == self.source)]
        answers = own.set_index("report_id").reindex(reports["report_id"])
        if answers["status"].isna().any():
            missing = answers.index[answers["status"].isna()]
            raise RadbookError(
                f"{len(missing)} reports have no choice answer of {self.source} in predictions ({missing[0]!r} is the "
                "first): label them first"
            )
        named = [{f["code"] for f in row if f["presence"] == Presence.PRESENT} for row in answers["findings"]]
        asked, _ = self._prompts(task, reports["text"].tolist(), 0)
        read = [k for k in asked if answers["status"].iloc[k] != "failed"]
        prompts, lists = [asked[k] for k in read], [named[k] for k in read]
        found = np.full((len(reports), len(CATEGORIES)), np.nan)
        found[read] = list_probabilities(*self.model(), prompts, lists, progress=progress)
        return pd.DataFrame(
            {
                "report_id": np.repeat(reports["report_id"].to_numpy(), len(CATEGORIES)),
                "code": np.tile(CATEGORIES, len(reports)),
                "named": [code in row for row in named for code in CATEGORIES],
                "probability": found.ravel(),
            }
        )

    def _prompts(self, task: Task, texts: list[str], room: int) -> tuple[dict[int, str], dict[int, str]]:
        """Return the prompt of each report that can be asked, and for each of the others why it cannot, by position."""
        model, tokenizer = self.model()
        width = getattr(model.config, "max_position_embeddings", 2048)
        if room >= width:
            raise RadbookError(
                f"max_new_tokens is {room}: prompt and reply together may have {width} tokens in {self.base_model}; give less"
            )
        limit = width - room
        bodies = [report_body(text) for text in texts]
        prompts = {k: task.prompt(body, self.style) for k, body in enumerate(bodies) if body}
        notes = {k: "empty report" for k, body in enumerate(bodies) if not body}
        for k, ids in zip(list(prompts), token_ids(tokenizer, list(prompts.values())), strict=True):
            if len(ids) > limit:
                del prompts[k]
                notes[k] = f"prompt of {len(ids)} tokens is longer than the {limit} that the model can read"
        return prompts, notes


def _with_adapter(model: "PreTrainedModel", folder: Path) -> "PreTrainedModel":
    """Return the model with the adapter in `folder` added into its weights."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise RadbookError(
            f"the adapter in {folder} cannot be loaded ({reason}): delete {folder.parent} and {_AGAIN}"
        ) from error
