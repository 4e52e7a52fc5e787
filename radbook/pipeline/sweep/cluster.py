"""The Dask cluster of a sweep: processes of this machine, or the workers of a scheduler that somebody started."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from radbook.core.errors import RadbookError, need
from radbook.pipeline.fingerprints import library_digest

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["open_cluster", "why_failed"]

_GIB_PER_WORKER = 3


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

    Without `scheduler` it is processes of this machine, reachable from it alone: `workers` of them, or as many as have
    room, but no more than runs are `wanted`.
    """
    need("sweep", "distributed", "cryptography")
    from dask.system import CPU_COUNT
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
    room = min(CPU_COUNT, int(psutil.virtual_memory().total / 2**30 / _GIB_PER_WORKER))
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
    codes = client.run(_code_beside, project)
    if not codes:
        raise RadbookError(f"the scheduler at {address} has no worker: start one with dask worker {address} --nthreads 1")
    other = next((worker for worker, code in codes.items() if code != library_digest()), None)
    if other:
        raise RadbookError(f"worker {other} needs the folder {project}, and the version of radbook that is installed here")


def _code_beside(project: Path) -> str:
    return library_digest() if (project / "_toc.yml").is_file() else "no project"
