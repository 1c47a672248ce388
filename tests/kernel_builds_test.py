"""The kernels give the same bytes when built for another processor or with another xsimd.

Usage: kernel_builds_test.py aarch64|xsimd SOURCE_FOLDER BUILD_FOLDER KERNEL_SUMS

KERNEL_SUMS is the program of this build. `aarch64` builds it with Debian's cross compiler and runs it
under qemu-aarch64; `xsimd` with the headers in $XSIMD_INCLUDE_DIR. Exit status 77: what it needs is not here.

SPDX-License-Identifier: MIT
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SKIPPED = 77


def run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nfailed with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def sums_of(text: str) -> dict[str, dict[str, str]]:
    """For each kernel: the case, and what came of it."""
    sums: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        kernel, sample_format, sigma, step, saturated, digest = line.split()
        sums.setdefault(kernel, {})[f"{sample_format} {sigma} {step}"] = f"{saturated} {digest}"
    return sums


def differences(expected: dict[str, str], sums: dict[str, dict[str, str]]) -> list[str]:
    """Where a kernel's sums are not the expected ones, missing cases included."""
    return [
        f"{kernel}, {case}: {cases.get(case)} instead of {expected.get(case)}"
        for kernel, cases in sums.items()
        for case in sorted(expected.keys() | cases.keys())
        if cases.get(case) != expected.get(case)
    ]


def build(source: Path, folder: Path, *options: str) -> Path:
    run("cmake", "-S", source, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DNOISEFLOOR_KERNELS_ONLY=ON", "-DNOISEFLOOR_TESTS=OFF", "-DNOISEFLOOR_WERROR=ON", *options)  # fmt: skip
    run("cmake", "--build", folder, "-j", "2")
    return folder / "tests/kernel_sums/kernel_sums"


def skip(reason: str) -> int:
    print(f"SKIPPED: {reason}")
    return SKIPPED


def main(argv: list[str]) -> int:
    mode, source, folder, native = argv[0], Path(argv[1]), Path(argv[2]), argv[3]
    if mode == "aarch64":
        missing = [tool for tool in ("aarch64-linux-gnu-g++", "qemu-aarch64") if shutil.which(tool) is None]
        if missing:
            return skip(f"{' and '.join(missing)} not found; packages g++-aarch64-linux-gnu and qemu-user")
        program = build(
            source,
            folder,
            f"-DCMAKE_TOOLCHAIN_FILE={source}/cmake/toolchains/aarch64.cmake",
            "-DXSIMD_INCLUDE_DIR=/usr/include",  # headers only, the same for every processor
            "-DCMAKE_EXE_LINKER_FLAGS=-static",
        )
        other = sums_of(run("qemu-aarch64", program))
        wanted = {"neon64", "omp_simd_neon64", "scalar"}
    else:
        headers = os.environ.get("XSIMD_INCLUDE_DIR", "")
        if not headers:
            return skip("XSIMD_INCLUDE_DIR is not set: the folder that holds another xsimd/xsimd.hpp")
        other = sums_of(run(build(source, folder, f"-DXSIMD_INCLUDE_DIR={headers}")))
        wanted = set(sums_of(run(native)))
    expected = sums_of(run(native))["scalar"]
    found = differences(expected, other)
    if set(other) != wanted:
        found.append(f"kernels {sorted(other)} instead of {sorted(wanted)}")
    if len(expected) < 20 or not differences({**expected, "int16 1 1": "0 0"}, other):
        found.append("the comparison finds nothing where there is something to find")
    print("\n".join(found) if found else f"{len(expected)} cases agree in {', '.join(other)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
