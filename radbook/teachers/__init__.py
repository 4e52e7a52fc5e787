"""Teachers: labelers that need no trained student.

Every labeler follows one protocol.
It has `source`, the name its rows carry, and `label(reports)`, which returns a `labels` table with one row per report and task:
two rows for each report that goes in, whatever happens, with a status that says what did.
Codes are category names in task "choice" and ICD-10-CM codes in task "open".
Nothing is imported here, so that using one teacher does not load the libraries of the others.
"""
