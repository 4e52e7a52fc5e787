"""radbook: small language models that learn to find diseases in radiology reports from weak labels."""

__version__ = "0.1.0"
