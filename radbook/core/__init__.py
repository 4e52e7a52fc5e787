"""The ground floor: errors, files, findings, the ontology, and the contracts of the tables."""
