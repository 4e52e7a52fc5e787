"""Grids of runs: what a parameter does, measured over several values and seeds."""

from radbook.pipeline.sweep.curves import read_sweep, spread
from radbook.pipeline.sweep.grids import load_curves
from radbook.pipeline.sweep.runs import Sweep, run_sweep

__all__ = ["Sweep", "load_curves", "read_sweep", "run_sweep", "spread"]
