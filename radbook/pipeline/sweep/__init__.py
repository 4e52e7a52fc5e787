"""Grids of runs: what a parameter does, measured over several values and seeds."""

from radbook.pipeline.sweep.execution import Sweep, run_sweep
from radbook.pipeline.sweep.grids import load_curves
from radbook.pipeline.sweep.table import read_sweep, spread

__all__ = ["Sweep", "load_curves", "read_sweep", "run_sweep", "spread"]
