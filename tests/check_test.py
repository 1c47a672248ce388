"""scripts/check finds what it is for, in a small repository made wrong on purpose, and looks at what changed only.

SPDX-License-Identifier: MIT
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

CMAKE = """
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES CXX)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_custom_target(noisefloor_version_header)
add_library(small kernels/good.cpp kernels/old.cpp)
target_include_directories(small PRIVATE .)
"""
NULL = "int* nothing() { return 0; }\n"  # modernize-use-nullptr


def needs(*tools: str) -> None:
    """Skips a test whose tools belong to another group of packages than the tests'."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise unittest.SkipTest(f"{tool} is not installed (group check of packages/apt.txt)")


class Check(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="noisefloor-check-")
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.git("init", "--quiet", "--initial-branch=main")
        for name in ("scripts/check", ".clang-format", ".clang-tidy", "pyproject.toml", ".gitignore"):
            self.write(name, (TOP / name).read_text())
        (self.top / "scripts/check").chmod(0o755)
        self.write("kernels/good.hpp", "#pragma once\nint one();\n")
        self.write("kernels/good.cpp", '#include "kernels/good.hpp"\n\nint one() { return 1; }\n')
        self.write("kernels/old.cpp", NULL)
        self.write("CMakeLists.txt", CMAKE)
        self.write("scripts/good.py", "x: int = 1\n")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = (
            "-c",
            "user.name=nobody",
            "-c",
            "user.email=nobody@localhost",
            "-c",
            "commit.gpgsign=false",
        )
        subprocess.run(["git", *identity, *arguments], cwd=self.top, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=small")

    def write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self, *arguments: str, **variables: str) -> tuple[int, str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("LINT_BASE", "CHECK_ALL")}
        done = subprocess.run(
            [self.top / "scripts/check", *arguments],
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        return done.returncode, done.stdout

    def test_format_names_what_is_out_of_shape_and_can_mend_it(self) -> None:
        needs("clang-format", "black")
        self.assertEqual(self.check("format")[0], 0)
        for name, text in (("kernels/new.cpp", "int  two( ){return 2;}\n"), ("scripts/new.py", "y  =  1\n")):
            with self.subTest(name):
                self.write(name, text)
                status, said = self.check("format")
                self.assertEqual(status, 1)
                self.assertIn(name, said)
                self.assertEqual(self.check("--fix", "format")[0], 0)
                self.assertEqual(self.check("format")[0], 0)

    def test_what_git_ignores_is_left_alone(self) -> None:
        needs("clang-format", "black")
        self.write("build/generated.cpp", "int  two( ){return 2;}\n")
        self.assertEqual(self.check("format")[0], 0)

    def test_shell_scripts_are_known_by_their_first_line(self) -> None:
        needs("shellcheck")
        self.assertEqual(self.check("shell")[0], 0)
        self.write("tests/no_script", "if [ $x = 1 ]\n")
        self.assertEqual(self.check("shell")[0], 0)
        self.write("tests/script", "#!/usr/bin/env bash\n[ $1 = 1 ] && ls *\n")
        status, said = self.check("shell")
        self.assertEqual(status, 1)
        self.assertIn("tests/script", said)

    def test_types_are_checked_in_every_python_file(self) -> None:
        needs("mypy")
        self.assertEqual(self.check("types")[0], 0)
        self.write("tests/wrong.py", 'z: int = "three"\n')
        status, said = self.check("types")
        self.assertEqual(status, 1)
        self.assertIn("tests/wrong.py", said)

    def test_lint_looks_at_what_changed_or_at_everything(self) -> None:
        needs("clang-tidy", "cmake", "ninja")
        configure = ["cmake", "-S", ".", "-B", "build/release", "-G", "Ninja"]
        subprocess.run(configure, cwd=self.top, check=True, capture_output=True)
        cases: tuple[tuple[str, dict[str, str], int, str], ...] = (
            ("nothing changed", {"LINT_BASE": "HEAD"}, 0, "0 files"),
            ("everything", {"CHECK_ALL": "1"}, 1, "kernels/old.cpp"),
            ("a young repository: everything", {}, 1, "kernels/old.cpp"),
        )
        for name, variables, expected, word in cases:
            with self.subTest(name):
                status, said = self.check("lint", **variables)
                self.assertEqual(status, expected, said)
                self.assertIn(word, said)
        self.write("kernels/good.hpp", "#pragma once\nint one();\ninline " + NULL)
        status, said = self.check("lint", LINT_BASE="HEAD")
        self.assertEqual(status, 1, "a header is linted through a source that includes it")
        self.assertIn("1 files", said)
        self.assertIn("kernels/good.hpp", said)
        for _ in range(21):
            self.commit()
        self.assertIn("0 files", self.check("lint")[1], "changes older than 20 commits are not looked at")

    def test_a_tool_that_is_missing_is_named_with_what_installs_it(self) -> None:
        tools = self.top / "tools"
        tools.mkdir()
        for name in ("bash", "dirname"):
            found = shutil.which(name)
            assert found is not None
            (tools / name).symlink_to(found)
        status, said = self.check("types", PATH=str(tools))
        self.assertEqual(status, 3, said)
        self.assertIn("mypy is missing: scripts/bootstrap check installs it", said)

    def test_lint_says_what_it_lacks(self) -> None:
        needs("clang-tidy", "cmake")
        status, said = self.check("lint")
        self.assertEqual(status, 1)
        self.assertIn("make configure TESTS=ON", said)

    def test_all_steps_are_made_though_one_fails(self) -> None:
        needs("shellcheck", "mypy")
        self.write("tests/script", "#!/bin/sh\nls $1\n")
        self.write("tests/wrong.py", 'z: int = "three"\n')
        status, said = self.check("shell", "types")
        self.assertEqual(status, 1)
        self.assertIn("check: shell: findings", said)
        self.assertIn("check: types: findings", said)

    def test_an_unknown_step_or_none_is_a_usage_error(self) -> None:
        self.assertEqual(self.check()[0], 2)
        status, said = self.check("fromat")
        self.assertEqual(status, 2)
        self.assertIn("fromat", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
