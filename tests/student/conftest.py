"""A small instruction table of our own sentences, shared by the student's tests."""

import pandas as pd
import pytest

from radbook.core.findings import finding
from radbook.core.schema import INSTRUCTIONS, check
from radbook.student.base import load_base, load_tokenizer
from radbook.tasks import TASKS

SENTENCES = [
    ("The heart is mildly enlarged.", "Cardiomegaly", "I51.7", "heart is mildly enlarged"),
    ("Small left pleural effusion.", "Pleural Effusion", "J90", "pleural effusion"),
    ("Right apical pneumothorax.", "Pneumothorax", "J93.9", "pneumothorax"),
    ("Streaky atelectasis at the left base.", "Atelectasis", "J98.11", "atelectasis"),
    ("A pacemaker projects over the left chest.", "Support Devices", "Z95.0", "pacemaker"),
    ("Pneumonia in the right lower lobe.", "Pneumonia", "J18.9", "pneumonia"),
    ("The lungs are clear.", None, None, None),
    ("No effusion and no pneumothorax.", None, None, None),
]


@pytest.fixture(scope="module")
def loaded():
    """The packaged base and its tokenizer, one pair for each file of tests."""
    model, tokenizer, _ = load_base("tiny-taught", backend="peft")
    return model, tokenizer


@pytest.fixture(scope="session")
def instructions() -> pd.DataFrame:
    """64 rows of both tasks over 32 two-sentence reports."""
    tokenizer, rows = load_tokenizer("tiny-taught"), []
    for k in range(32):
        chosen = [SENTENCES[k % 8], SENTENCES[(k // 8 + k + 1) % 8]]
        body = " ".join(s for s, *_ in chosen)
        for name, task in TASKS.items():
            codes = [(c if name == "choice" else i, p) for _, c, i, p in chosen if c]
            completion = " " + task.render([finding(c, phrase=p) for c, p in codes])
            rows.append(
                {
                    "report_id": f"r{k}",
                    "task": name,
                    "source": "curated",
                    "prompt": task.prompt(body, "short"),
                    "completion": completion,
                    "prompt_tokens": len(tokenizer(task.prompt(body, "short"))["input_ids"]),
                    "completion_tokens": len(tokenizer(completion)["input_ids"]),
                }
            )
    return check(pd.DataFrame(rows), INSTRUCTIONS)
