"""The student: a language model that labels reports, as the teachers do, after learning from their labels."""

from radbook.core.errors import need
from radbook.student.model import Student

need("train", "torch", "transformers", "peft", "trl")

__all__ = ["Student"]
