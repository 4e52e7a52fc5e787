"""The student in folders that work elsewhere: its adapter alone, or merged into the base's weights, each with a model card.

A merged student is saved as it answers: 32-bit weights on a CPU, bfloat16 on CUDA.
"""

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radbook.core.errors import RadbookError
from radbook.core.files import PACKAGED_BASES, read_json, write_json
from radbook.student import Student
from radbook.student.base import base_name, resolve_base
from radbook.student.environment import quiet
from radbook.student.prompts import freeze_date, template_hash

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = ["merge", "save_adapter"]

_TITLE = "# A student of radbook, merged"  # of the card, by which its folder is known
_FOUND = 'from radbook.student.base import resolve_base; base = resolve_base("{}")[0]  # a packaged base'
_LICENSES = ("LICENSE*", "NOTICE*", "USE_POLICY*")


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
    (partial / "README.md").write_text(_card("adapter", settings), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def merge(student: str | Path, out_dir: str | Path) -> dict[str, Any]:
    """Write a trained student as a whole model: weights, tokenizer, chat template, generation settings and a card.

    Parameters
    ----------
    student
        A run's folder or its student/ folder, as `Student.load` takes it.
    out_dir
        Folder to write; an earlier merged student in it is replaced, anything else is left alone.

    Returns
    -------
    dict
        The absolute path, parameters, the type of the numbers, and megabytes.

    Raises
    ------
    RadbookError
        If there is no finished student, its base or prompts have changed, or `out_dir` holds something else.
    """
    out_dir = Path(out_dir).absolute()
    readme = out_dir / "README.md"
    ours = readme.is_file() and _TITLE in readme.read_text(encoding="utf-8", errors="replace")
    if out_dir.exists() and not ours and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise RadbookError(f"{out_dir} holds something else than a merged student: name another folder")
    loaded = Student.load(student)
    settings = read_json(loaded.adapter.parent / "settings.json")
    model, tokenizer = loaded.model()
    if tokenizer.chat_template:
        tokenizer.chat_template = freeze_date(tokenizer.chat_template)
        if template_hash(tokenizer, loaded.style) != settings["template_hash"]:
            raise RadbookError(
                f"the chat template of {loaded.base_model} cannot be kept from writing a date: a server would ask "
                "the student in other words than it was trained with"
            )
    model.config.prompt_style = loaded.style  # in which words radbook asks it
    model.config.template_hash = settings["template_hash"]  # and that they are still those it was trained with
    partial = out_dir.with_name(f".{out_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with quiet():
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    location, local = resolve_base(loaded.base_model)
    for path in (p for pattern in _LICENSES for p in (Path(location).glob(pattern) if local else ())):
        shutil.copy(path, partial)
    (partial / "README.md").write_text(_card("merged", settings), encoding="utf-8")
    for path in partial.glob("*.safetensors"):
        path.chmod(0o644)  # they are written for the owner alone
    shutil.rmtree(out_dir, ignore_errors=True)
    os.replace(partial, out_dir)
    told = {
        "path": str(out_dir),
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "megabytes": round(sum(p.stat().st_size for p in out_dir.iterdir()) / 1e6, 1),
    }
    del model  # what was saved will be loaded again, and a large one has room once
    loaded.release()
    return told


def _card(kind: str, settings: dict[str, Any]) -> str:
    """Return the model card of a student: `resources/cards/KIND.md`, filled from what settings.json holds."""
    base, commit = settings["base_model"], settings.get("base_commit")
    location, local = resolve_base(base)
    ours, packaged = base in ("tiny", "tiny-taught"), base in PACKAGED_BASES
    path = f"PATH/TO/{base_name(base)}" if local else location
    filled = {
        "base": base_name(base),
        "named": "" if local else f"base_model: {location}\n",
        "where": _FOUND.format(base) if packaged else f'base = "{path}"',
        "known": f"Commit of the base on its hub: {commit}" if commit else f"Hash of the base's files: {settings['base_hash']}",
        "license": "mit" if ours else "apache-2.0" if packaged else "other",
    }
    template = files("radbook") / "resources" / "cards" / f"{kind}.md"
    return template.read_text(encoding="utf-8").format(**settings | filled)
