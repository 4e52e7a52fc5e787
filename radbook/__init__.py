"""radbook: small language models that learn to find diseases in radiology reports from weak labels.

The floors of the house, ground floor first; a room imports only from those above it in this list (`make lint` sees to it):

core                    errors, files, findings, the ontology, and the contracts of the tables
corpora, icd10          reports with their curated labels; the code that a phrase names
tasks                   what a labeler is asked, and how its reply is read
teachers                weak labels: rules, language models, simulations
instructions            labels as rows to train on
student                 bases, LoRA training, generation
evaluation              scores, intervals, comparisons, errors
reporting               sentences, tables, figures
pipeline                runs, chapters, parameters, sweeps
compare, book           what changed between runs; the pages
"""

__version__ = "0.1.0"
