"""Weak labels from a language model behind any OpenAI-compatible endpoint."""

from radbook.teachers.llm.teacher import ChatTeacher

__all__ = ["ChatTeacher"]
