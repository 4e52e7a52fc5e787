"""The tasks a labeler is given: what it is asked, how it answers, and how any reply is read."""

from radbook.tasks.task import CHOICE, LEVELS, OPEN, STYLES, TASKS, Task, present_codes, task_of

__all__ = ["CHOICE", "LEVELS", "OPEN", "STYLES", "TASKS", "Task", "present_codes", "task_of"]
