"""Generated reports whose findings are known by construction."""

from radbook.corpora.synthetic.generator import generate_reports

__all__ = ["generate_reports"]
