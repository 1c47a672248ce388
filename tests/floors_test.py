"""The floors of the house are kept: no include looks up, no source is an orphan, no build file globs.

SPDX-License-Identifier: MIT
"""

import ast
import re
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Iterator

TOP = Path(__file__).resolve().parent.parent

# Each floor with the floors that it may include. The order is the house's, from the ground up.
FLOORS: dict[str, tuple[str, ...]] = {
    "kernels": (),
    "harness/base": (),
    "harness/statistics": ("harness/base",),
    "harness/audio": ("harness/base",),
    "harness/workloads": ("harness/base", "harness/audio", "kernels"),
    "harness/strategies": ("harness/base", "harness/workloads"),
    "harness/measure": (
        "harness/base",
        "harness/audio",
        "kernels",
        "harness/workloads",
        "harness/strategies",
    ),
    "harness/mpi": (
        "harness/base",
        "kernels",
        "harness/workloads",
        "harness/strategies",
        "harness/measure",
    ),
    "harness/sweep": (
        "harness/base",
        "harness/audio",
        "kernels",
        "harness/workloads",
        "harness/strategies",
        "harness/measure",
        "harness/statistics",
    ),
    "harness/compare": ("harness/base", "harness/statistics"),
    "benchmarks": (
        "harness/base",
        "harness/audio",
        "kernels",
        "harness/workloads",
        "harness/strategies",
        "harness/measure",
        "harness/sweep",
    ),
}
# What a person types may include everything.
TOP_FLOOR = "harness/commands"

# The same for Python, with the packages that each may import; scripts/ itself holds the commands.
PYTHON_FLOORS: dict[str, tuple[str, ...]] = {
    "scripts/reference": (),
    "scripts/lib": (),
    "plots/figures": ("plots", "scripts/lib"),
    "plots": ("plots/figures", "scripts/lib"),
    "scripts/studies": ("plots", "plots/figures", "scripts/lib", "scripts"),
    "scripts": ("plots", "plots/figures", "scripts/lib"),
}


def floor_of(path: str) -> str:
    """The floor that a path relative to the top lies on; empty for none."""
    return next((floor for floor in (*FLOORS, TOP_FLOOR) if path.startswith(floor + "/")), "")


def sources(top: Path, *endings: str) -> Iterator[Path]:
    for folder in ("kernels", "harness", "benchmarks"):
        for path in sorted((top / folder).rglob("*")):
            if path.suffix in endings:
                yield path


def includes_upwards(top: Path) -> list[str]:
    """One line for each include of a floor that the including floor does not stand on."""
    found = []
    for path in sources(top, ".cpp", ".hpp"):
        name = path.relative_to(top).as_posix()
        floor = floor_of(name)
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
            if not match:
                continue
            included = match[1]
            if "../" in included:
                found.append(f"{name}:{number}: {included}: paths start at the top of the repository")
            target = floor_of(included)
            if target and target != floor and floor != TOP_FLOOR and target not in FLOORS.get(floor, ()):
                found.append(f"{name}:{number}: {floor or 'no floor'} must not see {target}: {included}")
    return found


def python_floor_of(path: str) -> str:
    return next((floor for floor in PYTHON_FLOORS if path.startswith(floor + "/")), "")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Each module of ours that a Python file imports, wherever in it, as a path without its ending."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield node.lineno, name.replace(".", "/")


def python_imports_upwards(top: Path) -> list[str]:
    """One line for each import of a floor that the importing floor does not stand on."""
    found = []
    for path in sorted([*(top / "scripts").rglob("*.py"), *(top / "plots").rglob("*.py")]):
        name = path.relative_to(top).as_posix()
        floor = python_floor_of(name)
        for number, imported in imports_of(path):
            target = python_floor_of(imported)
            if target and target != floor and target not in PYTHON_FLOORS[floor]:
                found.append(f"{name}:{number}: {floor} must not see {target}: {imported.replace('/', '.')}")
    return found


def python_circles(top: Path) -> list[str]:
    """The modules that import each other in a circle."""
    edges: dict[str, set[str]] = {}
    for path in [*(top / "scripts").rglob("*.py"), *(top / "plots").rglob("*.py")]:
        name = path.relative_to(top).as_posix().removesuffix(".py")
        imported = {one for _, one in imports_of(path)}
        edges[name] = {
            one
            for one in imported | {one.rpartition("/")[0] for one in imported}
            if (top / f"{one}.py").exists()
        }
    while free := [name for name, targets in edges.items() if not targets & edges.keys()]:
        for name in free:
            del edges[name]
    # What is left is in a circle, or stands on one.
    return sorted(name for name in edges if any(name in targets for targets in edges.values()))


def build_files(top: Path) -> list[Path]:
    return [top / "CMakeLists.txt", *sorted((top / "cmake").glob("*.cmake"))] + [
        path
        for folder in ("kernels", "harness", "benchmarks", "tests")
        for path in (top / folder).rglob("CMakeLists.txt")
    ]


def without_comments(path: Path) -> str:
    return re.sub(r"#.*", "", path.read_text())


# Commands that say something about a source without building it.
ABOUT_SOURCES = ("kernel_unit", "set_source_files_properties", "set_property")


def named_sources(top: Path) -> set[str]:
    """The sources that build files name, relative to the top. noisefloor_floor(name folder ...) names those of its
    folder, every other command those below the build file itself."""
    named = set()
    for listing in build_files(top):
        for command, text in re.findall(r"(\w+)\s*\(([^()]*)\)", without_comments(listing)):
            if command in ABOUT_SOURCES:
                continue
            words = re.split(r'[\s"]+', text.strip())
            folder = top / words[1] if command == "noisefloor_floor" else listing.parent
            named |= {
                (folder / w).relative_to(top).as_posix() for w in words if w.endswith(".cpp") and "$" not in w
            }
    return named


def orphans(top: Path) -> list[str]:
    """Sources that no build file names."""
    named = named_sources(top)
    found = [path.relative_to(top).as_posix() for path in sources(top, ".cpp")]
    return [name for name in found if name not in named]


def globs(top: Path) -> list[str]:
    pattern = re.compile(r"file\s*\(\s*GLOB|aux_source_directory", re.IGNORECASE)
    return [p.relative_to(top).as_posix() for p in build_files(top) if pattern.search(without_comments(p))]


class Floors(unittest.TestCase):
    def test_no_floor_includes_one_that_it_does_not_stand_on(self) -> None:
        self.assertEqual(includes_upwards(TOP), [])

    def test_no_python_module_imports_one_that_it_does_not_stand_on(self) -> None:
        self.assertEqual(python_imports_upwards(TOP), [])

    def test_no_python_modules_import_each_other(self) -> None:
        self.assertEqual(python_circles(TOP), [])

    def test_every_source_is_named_in_a_build_file(self) -> None:
        self.assertEqual(orphans(TOP), [])

    def test_no_build_file_globs(self) -> None:
        self.assertEqual(globs(TOP), [])

    def test_there_is_something_to_look_at(self) -> None:
        self.assertTrue(list(sources(TOP, ".cpp")))
        self.assertTrue(all((TOP / floor).is_dir() for floor in (*FLOORS, TOP_FLOOR)))
        self.assertTrue(all(list((TOP / floor).glob("*.py")) for floor in PYTHON_FLOORS))


class FloorsAreSeenToBeBroken(unittest.TestCase):
    """The checks above find what they are for, in a house built wrong on purpose."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="noisefloor-floors-")
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)

    def write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_includes(self) -> None:
        self.write(
            "kernels/a.cpp",
            '#include "harness/base/error.hpp"\n#include <vector>\n#include "kernels/a.hpp"\n',
        )
        self.write("harness/strategies/b.hpp", '#pragma once\n#  include "harness/audio/read.hpp"\n')
        self.write(
            "harness/measure/c.cpp", '#include "harness/base/error.hpp"\n#include "../sweep/plan.hpp"\n'
        )
        self.write("benchmarks/d.cpp", '#include "harness/commands/run.hpp"\n')
        self.write("harness/commands/e.cpp", '#include "benchmarks/d.hpp"\n')
        places = [line.split(": ")[0] for line in includes_upwards(self.top)]
        self.assertEqual(
            places,
            [
                "kernels/a.cpp:1",
                "harness/measure/c.cpp:2",
                "harness/strategies/b.hpp:2",
                "benchmarks/d.cpp:1",
            ],
        )

    def test_python_imports(self) -> None:
        self.write("scripts/lib/a.py", "import json\nfrom plots import style\nfrom scripts.lib import b\n")
        self.write("scripts/lib/b.py", "def f() -> None:\n    from scripts.lib.a import x\n")
        self.write("scripts/gate.py", "from scripts.lib import a\nfrom scripts.studies import c\n")
        self.write("scripts/studies/c.py", "from scripts import gate\n")
        self.write("plots/style.py", "import scripts.gate\n")
        places = [line.split(": ")[0] for line in python_imports_upwards(self.top)]
        self.assertEqual(places, ["plots/style.py:1", "scripts/gate.py:2", "scripts/lib/a.py:2"])
        self.assertTrue({"scripts/lib/a", "scripts/lib/b"} <= set(python_circles(self.top)))
        self.write("scripts/lib/b.py", "")
        self.write("scripts/gate.py", "from scripts.lib import b\n")
        self.write("plots/style.py", "from scripts.lib import b\n")
        self.assertEqual(python_circles(self.top), [])

    def test_orphans_and_globs(self) -> None:
        self.write("CMakeLists.txt", "add_subdirectory(kernels)\n")
        self.write(
            "kernels/CMakeLists.txt",
            "add_library(k named.cpp deep/er.cpp) # forgotten.cpp\nkernel_unit(forgotten.cpp)\n",
        )
        self.write(
            "harness/CMakeLists.txt", "FILE( GLOB all *.cpp)\nnoisefloor_floor(a harness/a SOURCES x.cpp)\n"
        )
        self.write("benchmarks/CMakeLists.txt", "")
        self.write("tests/CMakeLists.txt", "# file(GLOB x)\n")
        for name in (
            "kernels/named.cpp",
            "kernels/deep/er.cpp",
            "kernels/forgotten.cpp",
            "harness/a/x.cpp",
            "harness/b/x.cpp",
        ):
            self.write(name, "")
        self.assertEqual(orphans(self.top), ["kernels/forgotten.cpp", "harness/b/x.cpp"])
        self.assertEqual(globs(self.top), ["harness/CMakeLists.txt"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
