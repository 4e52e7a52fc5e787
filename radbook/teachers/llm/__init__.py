"""Weak labels from a language model behind any OpenAI-compatible endpoint."""

from radbook.core.errors import need

need("llm", "openai", "httpx2", "anyio")

from radbook.teachers.llm.teacher import ChatTeacher  # noqa: E402

__all__ = ["ChatTeacher"]
