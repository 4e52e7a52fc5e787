"""The student as a model of its own: the adapter added into the base's weights, in a folder that any server loads.

What is saved is what the student answers with: 32-bit weights on a CPU, bfloat16 on CUDA.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from radbook.core.errors import RadbookError
from radbook.core.files import read_json
from radbook.student import Student
from radbook.student.base import resolve_base
from radbook.student.environment import quiet
from radbook.student.prompts import freeze_date, template_hash
from radbook.student.training.adapter import card

__all__ = ["merge"]

_TITLE = "# A student of radbook, merged"  # of the card, by which its folder is known
_TERMS = ("LICENSE*", "NOTICE*", "USE_POLICY*")


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
    for path in (p for pattern in _TERMS for p in (Path(location).glob(pattern) if local else ())):
        shutil.copy(path, partial)
    (partial / "README.md").write_text(card("merged", settings), encoding="utf-8")
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
