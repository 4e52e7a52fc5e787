"""`python -m tools.publish RUN...`: publish runs and sweeps, and rewrite what quotes `results/`."""

import argparse
import sys

from radbook.core.errors import RadbookError
from radbook.pipeline.chapters import require_up_to_date
from radbook.pipeline.run import open_run, project_root
from tools.publish.claims import write_claims
from tools.publish.readme import update_readme
from tools.publish.results import publish


def main(arguments: list[str] | None = None) -> int:
    """Publish what the command line names; exit status 2 and one line, and nothing written, if a run is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a finished run or sweep; without one, only what quotes them")
    given = parser.parse_args(arguments)
    try:
        project, runs = project_root(), [open_run(name) for name in given.runs]
        for run in runs:
            if not (run.path / "sweep.json").is_file():
                require_up_to_date(run)
        for run in runs:
            publish(run)
        update_readme(project)
        write_claims(project)
    except RadbookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
