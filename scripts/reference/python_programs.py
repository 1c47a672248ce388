"""The batch in Python, as people write it and a little better: loop, threads, coroutines, process pools.

Started by `noisefloor launch`; see protocol.py. The ETL's `add_noise` is the obvious one: scipy reads and writes,
numpy's legacy generator makes the noise. Its state is copied by fork: workers of a pool make the same noise.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any, ContextManager, Final

if TYPE_CHECKING:
    from scripts.reference.protocol import Launch, Program, Task, main
else:
    from protocol import Launch, Program, Task, main  # beside this file, wherever that is

with contextlib.suppress(ImportError):  # main() says so, or finds another Python
    import numpy as np
    from scipy.io import wavfile

Done = Callable[[Any], None]


# --- One task ---


def clipped(noisy: Any, like: Any) -> Any:
    """As samples of the input's type, which integers may not hold."""
    if like.dtype.kind == "i":
        limits = np.iinfo(like.dtype)
        noisy = np.clip(noisy, limits.min, limits.max)
    return noisy.astype(like.dtype)


def add_noise(sigma: float, task: Task) -> str:
    source, target = task
    rate, samples = wavfile.read(source)
    noisy = samples + np.random.normal(0.0, sigma, samples.shape)
    wavfile.write(target, rate, clipped(noisy, samples))
    return str(target)


of_thread = threading.local()


def add_noise_own_rng(sigma: float, task: Task) -> str:
    if not hasattr(of_thread, "rng"):
        of_thread.rng = np.random.RandomState()
    source, target = task
    rate, samples = wavfile.read(source)
    noisy = samples + of_thread.rng.normal(0.0, sigma, samples.shape)
    wavfile.write(target, rate, clipped(noisy, samples))
    return str(target)


def add_noise_pure(sigma: float, task: Task) -> str:
    source, target = task
    rate, samples = wavfile.read(source)
    noisy = [sample + random.gauss(0.0, sigma) for sample in samples.tolist()]
    wavfile.write(target, rate, clipped(np.array(noisy), samples))
    return str(target)


of_process: list[Any] = []


def make_rng() -> None:
    of_process[:] = [np.random.default_rng()]


def add_noise_best(sigma: float, task: Task) -> str:
    source, target = task
    rate, samples = wavfile.read(source)
    noisy = of_process[0].standard_normal(samples.shape, dtype=np.float32)
    noisy *= np.float32(sigma)
    noisy += samples
    if samples.dtype.kind == "i":
        limits = np.iinfo(samples.dtype)
        np.rint(noisy, out=noisy)
        np.clip(noisy, limits.min, limits.max, out=noisy)
    wavfile.write(target, rate, noisy.astype(samples.dtype, copy=False))
    return str(target)


def times_ten(items: Sequence[int]) -> list[int]:
    return [item * 10 for item in items]


def function(launch: Launch, etl: Callable[[float, Task], str] = add_noise) -> Callable[[Task], Any]:
    """What one task is: may be sent to another process."""
    if launch.kind == "multiply":
        return times_ten
    return partial(etl, launch.sigma)


# --- Ways to run them ---


def nothing(launch: Launch) -> ContextManager[None]:
    return contextlib.nullcontext()


def loop(_: None, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
    work = function(launch)
    for task in tasks:
        done(work(task))


def coroutines(_: None, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
    work = function(launch)

    async def one(task: Task) -> None:
        done(work(task))

    async def all_of_them() -> None:
        await asyncio.gather(*(one(task) for task in tasks))

    asyncio.run(all_of_them())


def threads(launch: Launch) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(launch.workers)


def run_chunk(work: Callable[[Task], Any], chunk: Sequence[Task]) -> list[Any]:
    return [work(task) for task in chunk]


def in_threads(etl: Callable[[float, Task], str]) -> Callable[..., None]:
    def run(pool: ThreadPoolExecutor, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
        work = function(launch, etl)
        if launch.chunk_size == 1:
            for future in as_completed([pool.submit(work, task) for task in tasks]):
                done(future.result())
            return
        chunks = [tasks[i : i + launch.chunk_size] for i in range(0, len(tasks), launch.chunk_size)]
        for future in as_completed([pool.submit(run_chunk, work, chunk) for chunk in chunks]):
            for result in future.result():
                done(result)

    return run


def processes(launch: Launch) -> Any:
    return multiprocessing.Pool(launch.workers)


def processes_with_rng(launch: Launch) -> Any:
    return multiprocessing.Pool(launch.workers, initializer=make_rng)


def pool_map(pool: Any, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
    for result in pool.map(function(launch), tasks, chunksize=launch.chunk_size):
        done(result)


def pool_imap(pool: Any, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
    for result in pool.imap(function(launch), tasks, chunksize=launch.chunk_size):
        done(result)


def pool_imap_unordered(etl: Callable[[float, Task], str]) -> Callable[..., None]:
    def run(pool: Any, launch: Launch, tasks: Sequence[Task], done: Done) -> None:
        for result in pool.imap_unordered(function(launch, etl), tasks, chunksize=launch.chunk_size):
            done(result)

    return run


PROGRAMS: Final = {
    "python_loop": Program(nothing, loop),
    "python_threads": Program(threads, in_threads(add_noise)),
    "python_threads_own_rng": Program(threads, in_threads(add_noise_own_rng)),
    "python_threads_pure": Program(threads, in_threads(add_noise_pure)),
    "python_asyncio": Program(nothing, coroutines),
    "python_pool_map": Program(processes, pool_map),
    "python_pool_imap": Program(processes, pool_imap),
    "python_pool_imap_unordered": Program(processes, pool_imap_unordered(add_noise)),
    "python_numpy_best": Program(processes_with_rng, pool_imap_unordered(add_noise_best)),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PROGRAMS))
