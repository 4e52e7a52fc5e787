"""Publish the figures of finished runs: small tables without report text in `results/`, and whatever quotes them.

`python -m tools.publish default openi`, from the project folder, copies what those runs measured, rewrites the README's
results block, and measures the paper's claims anew, so that no figure in them is typed by hand.
Of corpora that anyone may read it also publishes the answers on the test reports, as codes alone, so that another run can
be compared with them report by report (`radbook compare results/default mine`).
A sweep's name copies its table, which the chapter on ablations reads.
"""
