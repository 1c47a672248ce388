"""Each kernel object holds its own instructions and no symbol that a linker could pick up for others.

The linker keeps one copy of a weak function. If that copy was compiled for AVX-512, every CPU without it
stops at an illegal instruction, in code that never asked for it.

Usage: kernel_objects_test.py COMPILER CONFIGURATION OBJECT;OBJECT;...

SPDX-License-Identifier: MIT
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

# Kernel units that are compiled for more than every CPU has, with the architecture that their templates carry.
ARCHITECTURES = {
    "avx512": "xsimd::avx512bw",
    "avx2": "xsimd::fma3<xsimd::avx2>",
    "neon64": "xsimd::neon64",
    "sse2": "xsimd::sse2",
    "omp_simd_avx512": None,
    "omp_simd_avx2": None,
    "omp_simd_neon64": None,
    "omp_simd_sse2": None,
    "scalar": None,
    "naive_avx512": None,
    "naive_avx2": None,
}
CODE_TABLES = {
    "avx512": "kAvx512Code",
    "avx2": "kAvx2Code",
    "neon64": "kNeon64Code",
    "sse2": "kSse2Code",
    "omp_simd_avx512": "kOmpSimdAvx512Code",
    "omp_simd_avx2": "kOmpSimdAvx2Code",
    "omp_simd_neon64": "kOmpSimdNeon64Code",
    "omp_simd_sse2": "kOmpSimdSse2Code",
    "naive_avx512": "kNaiveAvx512Code",
    "naive_avx2": "kNaiveAvx2Code",
    "scalar": "kScalarCode",
    "scalar_libm": "kScalarLibmCode",
    "naive": "kNaiveCode",
}


class Symbol(NamedTuple):
    kind: str  # as nm prints it; lower case but u, v and w: local
    name: str  # demangled


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shared_symbols(object_file: Path) -> list[Symbol]:
    """Symbols that the linker sees: global, weak and unique ones. DW.ref.* are pointers to a library's function."""
    lines = run("nm", "--demangle", "--defined-only", object_file).splitlines()
    symbols = [Symbol(*line.split(maxsplit=2)[1:]) for line in lines if len(line.split(maxsplit=2)) == 3]
    return [s for s in symbols if (s.kind.isupper() or s.kind in "uvw") and not s.name.startswith("DW.ref.")]


def kernel_of(object_file: Path) -> str:
    """The kernel that an object holds; empty for other objects."""
    match = re.fullmatch(r"add_noise_(\w+)\.cpp\.o", object_file.name)
    return match[1] if match else ""


def strangers(object_file: Path, kernel: str) -> list[str]:
    """Symbols of an instruction set's object that other code could link to."""
    architecture = ARCHITECTURES[kernel]
    found = []
    for symbol in shared_symbols(object_file):
        if symbol.name == f"noisefloor::{CODE_TABLES[kernel]}":
            continue
        carried = set(re.findall(r"xsimd::(?:fma3<xsimd::\w+>|avx\w*|neon\w*|sse\w*|generic)", symbol.name))
        if architecture is None or carried != {architecture}:
            found.append(f"{kernel}: {symbol.kind} {symbol.name}")
    return found


def defined_twice(object_files: list[Path]) -> list[str]:
    owner: dict[str, str] = {}
    found = []
    for object_file in object_files:
        for name in {symbol.name for symbol in shared_symbols(object_file)}:
            if name in owner:
                found.append(f"{name}: {owner[name]} and {object_file.name}")
            owner[name] = object_file.name
    return found


def instructions(object_file: Path) -> str:
    return run("objdump", "--disassemble", "--no-show-raw-insn", object_file)


def object_files() -> list[Path]:
    return [Path(name) for argument in sys.argv[3:] for name in argument.split(";")]


class KernelObjects(unittest.TestCase):
    def setUp(self) -> None:
        self.kernels = {kernel_of(path): path for path in object_files() if kernel_of(path)}

    def test_every_kernel_of_this_architecture_is_looked_at(self) -> None:
        vector = {"avx512", "avx2", "sse2"} if "avx512" in self.kernels else {"neon64"}
        by_compiler = {f"omp_simd_{name}" for name in vector}
        native = {"naive_avx512", "naive_avx2"} if "avx512" in self.kernels else set()
        self.assertEqual(
            set(self.kernels), vector | by_compiler | native | {"scalar", "scalar_libm", "naive"}
        )

    def test_no_symbol_is_defined_in_two_objects(self) -> None:
        self.assertEqual(defined_twice(object_files()), [])

    def test_an_object_defines_its_code_table_and_names_of_its_own(self) -> None:
        for kernel, path in self.kernels.items():
            names = {symbol.name for symbol in shared_symbols(path)}
            self.assertIn(f"noisefloor::{CODE_TABLES[kernel]}", names)
            if kernel in ARCHITECTURES:
                self.assertEqual(strangers(path, kernel), [])

    def test_an_object_holds_the_instructions_of_its_name(self) -> None:
        if "avx512" not in self.kernels:
            self.skipTest("the patterns below are of x86-64")
        holds: dict[
            str, tuple[list[str], list[str]]
        ] = {  # name: patterns that are there, patterns that are not
            "avx512": (["%zmm", r"vfmadd\w+ps .*%zmm", "vsqrtps .*%zmm"], []),
            "avx2": (["%ymm", r"vfmadd\w+ps .*%ymm", "vsqrtps .*%ymm"], ["%zmm", "%k[1-7]"]),
            "sse2": (["mulpd .*%xmm", "sqrtps .*%xmm"], ["%zmm", "%ymm", "vfmadd"]),
            "omp_simd_avx512": ([r"vfmadd\w+ps .*%zmm", "vsqrtps .*%zmm"], []),
            "omp_simd_avx2": ([r"vfmadd\w+ps .*%ymm", "vsqrtps .*%ymm"], ["%zmm", "%k[1-7]"]),
            "omp_simd_sse2": (["mulpd .*%xmm", "sqrtps .*%xmm"], ["%zmm", "%ymm", "vfmadd", "fmaf"]),
            "scalar": ([r"vfmadd\w+ss"], ["%zmm", "%ymm", r"vfmadd\w+ps"]),
            "scalar_libm": (["fmaf"], ["%zmm", "%ymm", "vfmadd", "%k[1-7]"]),
            "naive": ([], ["%zmm", "%ymm", "vfmadd"]),
            "naive_avx2": ([r"v\w+ss "], ["%zmm", "%k[1-7]"]),
            "naive_avx512": ([r"v\w+ss "], []),
        }
        for kernel, (present, absent) in holds.items():
            text = instructions(self.kernels[kernel])
            if kernel == "scalar_libm":  # a call's target is in the relocations
                text += run("nm", "--undefined-only", self.kernels[kernel])
            for pattern in present:
                self.assertIsNotNone(re.search(pattern, text), f"{kernel}: no {pattern}")
            for pattern in absent:
                self.assertIsNone(re.search(pattern, text), f"{kernel}: {pattern}")


class BrokenObjects(unittest.TestCase):
    """What the checks above are for is found."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="noisefloor-objects-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compiled(self, name: str, text: str) -> Path:
        source = self.folder / f"add_noise_{name}.cpp"
        source.write_text(text)
        target = source.with_suffix(".cpp.o")
        run(sys.argv[1], "-O0", "-c", source, "-o", target)
        return target

    def test_a_shared_inline_function(self) -> None:
        shared = "inline int shared(int x) { return x; } int use_NAME(int x) { return shared(x); }\n"
        paths = [self.compiled(name, shared.replace("NAME", name)) for name in ("avx2", "avx512")]
        self.assertEqual(
            defined_twice(paths), ["shared(int): add_noise_avx2.cpp.o and add_noise_avx512.cpp.o"]
        )
        self.assertEqual(strangers(paths[0], "avx2"), ["avx2: W shared(int)", "avx2: T use_avx2(int)"])

    def test_a_template_of_another_architecture(self) -> None:
        text = """
            namespace xsimd { struct avx512bw; struct neon64; }
            template <class Arch> int width() { return 1; }
            template int width<xsimd::avx512bw>();
            template int width<xsimd::neon64>();
        """
        self.assertEqual(
            strangers(self.compiled("avx512", text), "avx512"), ["avx512: W int width<xsimd::neon64>()"]
        )


if __name__ == "__main__":
    if sys.argv[2] == "Debug":
        print("skipped: an unoptimised build emits every inline function that it uses")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
