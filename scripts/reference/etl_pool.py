#!/usr/bin/env python3
"""The program that people write: a process pool, scipy to read and write, numpy's legacy generator for the noise.

Usage: etl_pool.py WORKERS IN OUT

Reads every .wav file in the folder IN (mono int16), adds Gaussian noise with a standard deviation of 0.003 of full
scale, and writes it to the folder OUT, which exists.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import wavfile

SIGMA = 0.003 * 32768


def add_noise(paths: tuple[str, str]) -> None:
    source, target = paths
    rate, samples = wavfile.read(source)
    noisy = samples + np.random.normal(0.0, SIGMA, samples.shape)
    wavfile.write(target, rate, np.clip(noisy, -32768, 32767).astype(np.int16))


def main(argv: Sequence[str]) -> int:
    if len(argv) != 3:
        print("usage: etl_pool.py WORKERS IN OUT", file=sys.stderr)
        return 2
    out = Path(argv[2])
    tasks = [(str(path), str(out / path.name)) for path in sorted(Path(argv[1]).glob("*.wav"))]
    with multiprocessing.Pool(int(argv[0])) as pool:
        pool.map(add_noise, tasks, chunksize=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
