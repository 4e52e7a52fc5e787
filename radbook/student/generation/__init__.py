"""Replies of a model to many prompts, and how sure it is of them."""
