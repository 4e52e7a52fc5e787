"""Weak labels from rules: a lexicon of findings and the words that deny, doubt or date them, with evidence for every label."""

from radbook.teachers.rules.teacher import RuleTeacher, find_mentions

__all__ = ["RuleTeacher", "find_mentions"]
