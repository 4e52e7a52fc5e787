"""Label reports with medspaCy, as often as it is asked to: build/medspacy-venv/bin/python label_medspacy.py LEXICON REPORTS.

Runs in medspaCy's environment. LEXICON is the JSON of `medspacy_lexicon.export`, REPORTS are JSON lines.
"""

import json
import sys
from collections.abc import Iterable

import medspacy
from loguru import logger
from medspacy.target_matcher import TargetRule
from rounds import open_hyphens, read_reports, serve

# ConText's verdicts; a finding under any of them is not present.
VERDICTS = ("is_negated", "is_uncertain", "is_hypothetical", "is_historical", "is_family")
# PyRuSH writes a line per token to the log unless it is told not to.
logger.remove()


def build(rules: Iterable[TargetRule], *, sentences: str = "medspacy_pyrush"):
    """Make the pipeline that `medspacy.load` makes by default, with our rules and ConText's own."""
    names = {"medspacy_tokenizer", "medspacy_target_matcher", "medspacy_context"}
    if sentences == "medspacy_pyrush":
        names.add(sentences)
    nlp = medspacy.load(medspacy_enable=names)
    if sentences != "medspacy_pyrush":
        nlp.add_pipe(sentences, first=True)
    nlp.get_pipe("medspacy_target_matcher").add(list(rules))
    return nlp


def label(nlp, reports: list[dict[str, str]]) -> dict[str, list[str]]:
    """Return the categories each report is said to show."""
    docs = nlp.pipe(open_hyphens(report["text"]) for report in reports)
    return {report["report_id"]: present(doc) for report, doc in zip(reports, docs, strict=True)}


def present(doc) -> list[str]:
    """Return the categories of the entities that no verdict takes back."""
    found = set()
    for entity in doc.ents:
        if entity.label_ and not any(getattr(entity._, verdict) for verdict in VERDICTS):
            found.update(entity.label_.split("|"))
    return sorted(found - {"-"})


def main(lexicon_path: str, reports_path: str) -> None:
    """Serve "phrases", "sentencizer" (the same with spaCy's own sentence splitter) and "patterns" (phrases and patterns)."""
    with open(lexicon_path, encoding="utf-8") as file:
        lexicon = json.load(file)
    reports = read_reports(reports_path)
    phrases = [TargetRule(phrase, categories) for phrase, categories in lexicon["phrases"]]
    patterns = [
        TargetRule(name, categories, pattern=pattern) for name, categories, pattern in lexicon["patterns"]
    ]
    pipelines = {
        "phrases": build(phrases),
        "sentencizer": build(phrases, sentences="sentencizer"),
        "patterns": build(phrases + patterns),
    }
    for nlp in pipelines.values():
        label(nlp, reports[:1])
    serve({way: lambda nlp=nlp: label(nlp, reports) for way, nlp in pipelines.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
