"""The tasks a labeler is given: what it is asked, how it answers, and how any reply is read."""

from radbook.tasks.task import CHOICE, OPEN, STYLES, TASKS, Task, worked_examples

__all__ = ["CHOICE", "OPEN", "STYLES", "TASKS", "Task", "worked_examples"]
