"""Revisions and the builds of them that are compared.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import difflib
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAIN_BRANCHES: Final = ("origin/main", "main", "origin/master", "master")
# What decides about speed beside the sources; a built folder that differs in one of these is another experiment.
FLAGS: Final = (
    "CMAKE_BUILD_TYPE",
    "CMAKE_CXX_COMPILER",
    "CMAKE_CXX_FLAGS",
    "CMAKE_CXX_FLAGS_RELEASE",
    "CMAKE_EXE_LINKER_FLAGS",
)


class Stop(Exception):
    """Ends the program with this exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Build:
    """One arm. `source`: the tree that it was built from, if it is known; `commit`: "" if unknown."""

    name: str
    program: Path
    source: Path | None
    commit: str
    folder: bool


def say(text: str) -> None:
    print(f"regress: {text}", file=sys.stderr, flush=True)


# ---- Revisions -------------------------------------------------------------------------------------------------------


class Repository:
    """The git repository at `root`; builds lie in `cache`, one folder for each commit."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.cache = cache

    def git(self, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-c", f"safe.directory={self.root}", "-C", str(self.root), *words],
            capture_output=True,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def ask(self, *words: str) -> str:
        """What git answers in one line; "" if it refuses."""
        done = self.git(*words)
        return done.stdout.strip() if done.returncode == 0 else ""

    @property
    def is_shallow(self) -> bool:
        return self.ask("rev-parse", "--is-shallow-repository") == "true"

    def commit_of(self, revision: str) -> str:
        """The commit that `revision` means. Throws Stop(2)."""
        commit = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if commit:
            return commit
        known = self.ask("for-each-ref", "--format=%(refname:short)").split()
        near = difflib.get_close_matches(revision, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        if self.is_shallow:
            hint += "; this clone is shallow: git fetch --unshallow (in CI: fetch-depth: 0) brings the rest"
        raise Stop(
            2, f"'{revision}' is neither a built folder, nor a program, nor a revision that git knows{hint}"
        )

    def is_dirty(self) -> bool:
        return bool(self.ask("status", "--porcelain", "--", ".", ":!results/history"))

    def snapshot(self) -> str:
        """A commit of the working tree as it is now, changes and new files included; on no branch. The same
        content gives the same commit, so that its build is found again."""
        head = self.commit_of("HEAD")
        index = self.cache / f".index.{os.getpid()}"
        self.cache.mkdir(parents=True, exist_ok=True)
        environment = {"GIT_INDEX_FILE": str(index)}
        for who in ("AUTHOR", "COMMITTER"):
            environment |= {
                f"GIT_{who}_NAME": "regress",
                f"GIT_{who}_EMAIL": "regress@localhost",
                f"GIT_{who}_DATE": "2000-01-01T00:00:00Z",
            }
        try:
            text = ""
            for words in (
                ["read-tree", head],
                ["add", "--all", "--", ".", ":!results/history"],
                ["write-tree"],
            ):
                done = self.git(*words, environment=environment)
                if done.returncode != 0:
                    raise Stop(2, f"git {words[0]}: {done.stderr.strip()}")
                text = done.stdout.strip()
            done = self.git("commit-tree", text, "-p", head, "-m", "uncommitted", environment=environment)
            if done.returncode != 0:
                raise Stop(2, f"git commit-tree: {done.stderr.strip()}")
            return done.stdout.strip()
        finally:
            index.unlink(missing_ok=True)

    def default_base(self) -> str:
        """The merge base with the main branch; on that branch itself, with nothing changed, the commit before.
        Throws Stop(2)."""
        of_request = os.environ.get("GITHUB_BASE_REF")
        candidates = ([f"origin/{of_request}"] if of_request else []) + list(MAIN_BRANCHES)
        branch = next((name for name in candidates if self.ask("rev-parse", "--verify", "--quiet", name)), "")
        if not branch:
            raise Stop(2, f"there is no main branch here ({', '.join(candidates)}): name the base")
        head = self.commit_of("HEAD")
        base = self.ask("merge-base", "HEAD", branch)
        if base and (base != head or self.is_dirty()):
            return base
        parent = self.ask("rev-parse", "--verify", "--quiet", "HEAD~1") if base else ""
        if parent:
            return parent
        if self.is_shallow:
            raise Stop(
                2,
                f"this clone is shallow and ends before the merge base with {branch}: "
                "git fetch --unshallow (in CI: fetch-depth: 0)",
            )
        raise Stop(2, f"no commit lies before HEAD on {branch}: name the base")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time makes worktrees and builds."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def checked_out(self, commit: str) -> Path:
        """The worktree of this commit; its path is as long as every other's. Throws Stop(3)."""
        tree = self.cache / commit[:16]
        if not (tree / "CMakeLists.txt").exists():
            self.git("worktree", "prune")
            done = self.git("worktree", "add", "--detach", "--force", str(tree), commit)
            if done.returncode != 0:
                raise Stop(3, f"cannot check out {commit[:12]}: {done.stderr.strip()}")
        return tree


def build(repository: Repository, name: str, commit: str, *, is_base: bool, jobs: int) -> Build:
    """Builds a commit with its preset `release`, unless it is there already. Throws Stop: 3 for a base that
    cannot be built, 1 for a head."""
    with repository.locked():
        tree = repository.checked_out(commit)
        program, done_mark, log = (
            tree / "build/release/noisefloor",
            tree / "build/.regress",
            tree / "build/regress.log",
        )
        # What else reaches the compiler: another value of these is another build.
        environment = json.dumps(
            {key: os.environ.get(key, "") for key in ("CC", "CXX", "CXXFLAGS", "LDFLAGS")}
        )
        if program.exists() and done_mark.exists() and done_mark.read_text(encoding="utf-8") == environment:
            return Build(name, program, tree, commit, folder=False)
        say(f"building {name} in {tree}")
        (tree / "build").mkdir(exist_ok=True)
        done_mark.unlink(missing_ok=True)
        with open(log, "wb") as output:
            for command in (
                ["cmake", "--preset", "release", "-DNOISEFLOOR_TESTS=OFF"],
                ["cmake", "--build", "--preset", "release", "--target", "noisefloor", "-j", str(jobs)],
            ):
                try:
                    status = subprocess.run(
                        command, cwd=tree, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    ).returncode
                except FileNotFoundError:
                    raise Stop(3, f"{command[0]} is missing: scripts/bootstrap bench installs it") from None
                if status != 0:
                    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
                    what = "base" if is_base else "head"
                    raise Stop(3 if is_base else 1, f"{what} {name} does not build ({log}):\n{tail}")
        done_mark.write_text(environment, encoding="utf-8")
    return Build(name, program, tree, commit, folder=False)


def built(text: str) -> Build | None:
    """The arm that a path names: a program, a build folder, or a source tree with build/release; None if `text`
    is no path."""
    path = Path(text)
    if not path.exists():
        return None
    for program in (path, path / "noisefloor", path / "build/release/noisefloor"):
        if program.is_file() and os.access(program, os.X_OK):
            program = program.resolve()
            tree = program.parent.parent.parent
            source = tree if (tree / "benchmarks/sweeps").is_dir() else None
            return Build(text, program, source, "", folder=True)
    return None


def flags_of(program: Path) -> dict[str, str]:
    """The values of FLAGS in the program's build folder; empty if it has none."""
    try:
        text = (program.parent / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = dict(re.findall(r"^(\w+):\w+=(.*)$", text, flags=re.MULTILINE))
    return {name: found.get(name, "") for name in FLAGS}


def check_flags(base: Build, head: Build) -> None:
    """Throws Stop(2) for built folders whose flags differ: then what differs is not the sources."""
    if not (base.folder or head.folder):
        return  # built here alike; where their presets differ, that is the change
    ours, theirs = flags_of(head.program), flags_of(base.program)
    differ = [
        f"{name}: '{theirs[name]}' and '{ours[name]}'"
        for name in ours
        if name in theirs and ours[name] != theirs[name]
    ]
    if differ:
        raise Stop(2, f"base and head were not built alike: {'; '.join(differ)}")
