"""The adapter as a folder that works elsewhere: sorted settings, no path of this machine, and a card that says how to load it.

It fits one base alone; of a base from a hub, whose id says nothing of its weights, the commit is kept.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from radbook.core.errors import RadbookError
from radbook.core.files import write_json
from radbook.student.base import base_name, resolve_base

__all__ = ["base_commit", "check_commit", "load_adapter", "save_adapter"]


def save_adapter(model: Any, folder: Path, settings: dict[str, Any]) -> None:
    """Write the adapter of a trained model to `folder`, all or nothing; `settings` is what settings.json will hold."""
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    config = json.loads((partial / "adapter_config.json").read_text(encoding="utf-8"))
    # PEFT notes the path of the base, which is another one on every machine, and the layers in no fixed order.
    config["base_model_name_or_path"] = _public_name(settings["base_model"])
    if isinstance(config["target_modules"], list):
        config["target_modules"] = sorted(config["target_modules"])
    write_json(config, partial / "adapter_config.json")
    (partial / "adapter_model.safetensors").chmod(0o644)  # it is written for the owner alone
    (partial / "README.md").write_text(_card(settings), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def base_commit(model: Any, base_model: str) -> str | None:
    """Return the commit of the hub that `model`, just loaded, was read from.

    There is none for a folder, nor where Unsloth took another repository's copy.
    """
    return getattr(model.config, "_commit_hash", None) if model.name_or_path == base_model else None


def check_commit(model: Any, base_model: str, trained_on: str | None) -> None:
    """Refuse a base, just loaded, that is of another commit than the one a student was trained on, if that is known."""
    commit = base_commit(model, base_model)
    if trained_on and commit != trained_on:
        raise RadbookError(
            f"base_model {base_model} is commit {commit} now, and the student was trained on {trained_on}: delete the "
            "student's folder and run chapter 06 (radbook.student.training.finetune) again"
        )


def load_adapter(model: Any, folder: Path) -> Any:
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


def _public_name(base_model: str) -> str | None:
    """Return the hub id of a base, or None for one that only lies in a folder."""
    location, local = resolve_base(base_model)
    return None if local else location


def _card(settings: dict[str, Any]) -> str:
    base = settings["base_model"]
    if base == "tiny":
        where = '    from radbook.student.base import TINY as base  # the packaged base, "tiny"\n'
        terms = "MIT, as the packaged base"
    else:
        name = _public_name(base)
        where = f'    base = "{name}"\n' if name else f'    base = "PATH/TO/{base_name(base)}"\n'
        terms = "the terms of its base hold for it, too"
    name = _public_name(base)
    head = f"base_model: {name}\n" if name else ""
    commit = settings.get("base_commit")
    known = f"Commit of the base on its hub: {commit}" if commit else f"Hash of the base's files: {settings['base_hash']}"
    return f"""---
{head}library_name: peft
tags:
- lora
---

# A student's adapter

LoRA weights that radbook trained on {settings["rows"]:,} instructions; they stand on the base `{base_name(base)}`.
Any PEFT loads them onto that base:

{where}    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "PATH/TO/adapter")

`adapter_config.json` names a base only if it has a name on a hub, since a path on one machine means nothing on another.

- {known}
- Hash of the prompts it was trained with (style "{settings["prompt_style"]}"): {settings["template_hash"]}
- License: {terms}

Not a medical device: for teaching and research.
"""
