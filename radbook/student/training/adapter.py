"""The adapter as a folder that works elsewhere: sorted settings, no path of this machine, and a card that says how to load it.

It fits one base alone; of a base from a hub, whose id says nothing of its weights, the commit is kept.
"""

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.student.base import base_name, resolve_base

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

__all__ = ["base_commit", "card", "check_commit", "load_adapter", "save_adapter"]

_TERMS = (
    "the terms of the base hold for it, too. Llama 3.1 asks that a model made from it has a name that begins with Llama, "
    'and that "Built with Llama" is shown.'
)


def save_adapter(model: "PeftModel", folder: Path, settings: dict[str, Any]) -> None:
    """Write the adapter of a trained model to `folder`, all or nothing; `settings` is what settings.json will hold."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    config = json.loads((partial / "adapter_config.json").read_text(encoding="utf-8"))
    # PEFT notes the path of the base, which is another one on every machine, and the layers in no fixed order.
    location, local = resolve_base(settings["base_model"])
    config["base_model_name_or_path"] = None if local else location
    config["target_modules"] = sorted(config["target_modules"])
    write_json(config, partial / "adapter_config.json")
    (partial / "adapter_model.safetensors").chmod(0o644)  # it is written for the owner alone
    (partial / "README.md").write_text(card("adapter", settings), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def base_commit(model: "PreTrainedModel", base_model: str) -> str | None:
    """Return the commit of the hub that `model`, just loaded, was read from.

    There is none for a folder, nor where Unsloth took another repository's copy.
    """
    return getattr(model.config, "_commit_hash", None) if model.name_or_path == base_model else None


def check_commit(model: "PreTrainedModel", base_model: str, trained_on: str | None) -> None:
    """Refuse a base, just loaded, that is of another commit than the one a student was trained on, if that is known."""
    commit = base_commit(model, base_model)
    if trained_on and commit != trained_on:
        raise RadbookError(
            f"base_model {base_model} is commit {commit} now, and the student was trained on {trained_on}: delete the "
            "student's folder and run chapter 06 (radbook.student.training.finetune) again"
        )


def load_adapter(model: "PreTrainedModel", folder: Path) -> "PreTrainedModel":
    """Return the model with the adapter in `folder` added into its weights."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise RadbookError(
            f"the adapter in {folder} cannot be loaded ({reason}): delete {folder.parent} and run chapter 06 "
            "(radbook.student.training.finetune) again"
        ) from error


def card(kind: str, settings: dict[str, Any]) -> str:
    """Return the model card of a student: `resources/cards/KIND.md`, filled from what settings.json holds."""
    base, commit = settings["base_model"], settings.get("base_commit")
    location, local = resolve_base(base)
    tiny = base == "tiny"
    path = f"PATH/TO/{base_name(base)}" if local else location
    filled = {
        "base": base_name(base),
        "named": "" if local else f"base_model: {location}\n",
        "where": "from radbook.student.base import TINY as base  # the packaged base" if tiny else f'base = "{path}"',
        "known": f"Commit of the base on its hub: {commit}" if commit else f"Hash of the base's files: {settings['base_hash']}",
        "license": "mit" if tiny else "other",
        "terms": "MIT, as the packaged base and the code." if tiny else _TERMS,
    }
    template = files("radbook") / "resources" / "cards" / f"{kind}.md"
    return template.read_text(encoding="utf-8").format(**settings | filled)
