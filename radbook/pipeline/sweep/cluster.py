"""The Dask cluster of a sweep: processes of this machine, or the workers of a scheduler that somebody started."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from radbook.core.errors import RadbookError, need
from radbook.pipeline.fingerprints import cores, library_digest

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["THREADS", "limit_threads", "open_cluster", "why_failed"]

# Threads per run, whatever the machine: sums in another order would give other tables with two workers than with one.
THREADS = 1
_GIB_PER_WORKER = 3


def limit_threads() -> None:
    """Give what this process starts, such as kernels, `THREADS` threads each."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS)))


def why_failed(future: "Future") -> str:
    """Say in a line why a run of the cluster has no result."""
    from distributed.scheduler import KilledWorker

    if future.status != "error":
        return "the scheduler lost it"
    error = future.exception()
    if isinstance(error, KilledWorker):
        return "its worker died again and again; most often the machine ran out of memory"
    return str(error) if isinstance(error, RadbookError) else f"{type(error).__name__}: {error}"


@contextmanager
def open_cluster(scheduler: str | None, workers: int | None, wanted: int, project: Path) -> "Iterator[tuple[Client, int]]":
    """Connect to a cluster, and say how many runs it takes at a time.

    Parameters
    ----------
    scheduler
        Address of a scheduler; None starts processes of this machine, reachable from it alone: `workers` of them, or as
        many as have room, but no more than runs are `wanted`.
    project
        Folder that the workers must see.

    Raises
    ------
    RadbookError
        If nobody answers there, there is no worker, or one would run something else than is here.
    """
    need("sweep", "distributed", "cryptography")
    from distributed import Client, LocalCluster

    if workers is not None and (scheduler or workers < 1):
        raise RadbookError(f"--workers: {'leave it out with --scheduler' if scheduler else 'give at least 1'}")
    if scheduler:
        try:
            client = Client(scheduler, timeout=20, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RadbookError(f"no Dask scheduler answers at {scheduler}: {' '.join(str(error).split())}") from None
        with client:
            _check_workers(client, scheduler, project)
            yield client, sum(client.nthreads().values())
        return
    room = min(cores(), int(psutil.virtual_memory().total / 2**30 / _GIB_PER_WORKER))
    places = min(workers or max(1, room), wanted)
    local = LocalCluster(
        n_workers=places, threads_per_worker=1, processes=True, memory_limit=0,
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},  # its pages listen anyway: here alone
        silence_logs=logging.CRITICAL,
        security=True,  # others on this machine could reach its ports: encrypt, and know who asks
    )  # fmt: skip
    with local, Client(local, set_as_default=False) as client:
        yield client, places


def _check_workers(client: "Client", address: str, project: Path) -> None:
    """Refuse a cluster without workers, or whose workers would run something else than is here."""
    answers = client.run(_look_around, project)
    if not answers:
        raise RadbookError(f"the scheduler at {address} has no worker: start one with dask worker {address} --nthreads 1")
    here = _look_around(project)
    for worker, (code, found) in answers.items():
        if not found:
            raise RadbookError(f"worker {worker} does not see {project}: it needs the same folder under the same path")
        if code != here[0]:
            raise RadbookError(f"worker {worker} has another version of radbook: install the one of this machine there")


def _look_around(project: Path) -> tuple[str, bool]:
    return library_digest(), (project / "_toc.yml").is_file()
