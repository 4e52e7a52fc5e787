"""The student: a language model that labels reports, as the teachers do, after learning from their labels."""

from radbook.student.model import Student

__all__ = ["Student"]
