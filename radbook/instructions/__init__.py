"""From labels to the rows that a student is trained on."""

from radbook.instructions.build import build_instructions, rival_of, taught_by

__all__ = ["build_instructions", "rival_of", "taught_by"]
