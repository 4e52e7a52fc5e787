"""Runs: folders, chapters, parameters, and what executes them."""
