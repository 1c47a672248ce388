"""scripts/bootstrap installs what is missing in the ways that it promises, and never by surprise.

Runs it with a PATH of nothing but stand-ins for dpkg-query, apt-get, sudo and id, which write down how they were called.
SPDX-License-Identifier: MIT
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional

TOP = Path(__file__).resolve().parent.parent
TOOLS = ("awk", "cat", "dirname", "env", "paste", "rm", "sed", "sh", "touch", "true")

DPKG_QUERY = """
for name in "$@"; do
  case $name in -*|*'{'*) continue ;; esac
  case " $MISSING " in
    *" $name "*) status=1 ;;
    *" $name:removed "*) echo "$name config-files" ;;
    *) echo "$name installed" ;;
  esac
done
exit ${status:-0}
"""
APT_GET = """
case " $* " in
  *" indextargets "*) [ -z "$NO_LISTS" ] && echo /lists/Packages; exit 0 ;;
  *" update "*) rm -f "$LOG.stale"; touch "$LOG.lists"; exit ${UPDATE_STATUS:-0} ;;
  *" --assume-no "*)
    [ -z "$NO_LISTS" ] || [ -e "$LOG.lists" ] || exit 100
    echo "Need to get 12.3 MB/45.6 MB of archives."
    echo "After this operation, 78.9 MB of additional disk space will be used."
    exit 1 ;;
  *" install "*) echo "noise of apt-get"; [ ! -e "$LOG.stale" ] || exit 100; exit ${INSTALL_STATUS:-0} ;;
esac
"""
SUDO = """
if [ -n "$SUDO_PASSWORD" ] && [ "$1" = -n ]; then exit 1; fi
[ "$1" != -n ] || shift
exec "$@"
"""


class Result:
    """How one call ended: exit status, standard output, standard error and the stand-ins' diary."""

    def __init__(self, status: int, out: str, err: str, calls: list[str]) -> None:
        self.status, self.out, self.err, self.calls = status, out, err, calls

    def changes(self) -> list[str]:
        """The calls that could alter the machine: everything but questions."""
        return [
            c
            for c in self.calls
            if not re.match(r"(dpkg-query|id|apt-get (indextargets|.* --assume-no))\b", c)
        ]


class Bootstrap(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="noisefloor-bootstrap-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.log = self.folder / "log"
        for tool in TOOLS:
            found = shutil.which(tool)
            self.assertIsNotNone(found, tool)
            (self.bin / tool).symlink_to(str(found))
        self.tool("dpkg-query", DPKG_QUERY)
        self.tool("apt-get", APT_GET)
        self.tool("sudo", SUDO)
        self.tool("id", 'echo "${UID_IS:-1000}"')

    def tool(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>"$LOG"\n{body}\n')
        path.chmod(0o755)

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {"PATH": str(self.bin), "LOG": str(self.log), **variables}

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def bootstrap(self, *groups: str, **variables: str) -> Result:
        """The script without a terminal."""
        done = subprocess.run(
            [TOP / "scripts/bootstrap", *groups],
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return Result(done.returncode, done.stdout, done.stderr, self.calls())

    def on_terminal(self, answer: Optional[str], *groups: str, **variables: str) -> Result:
        """The script on a terminal of its own; `answer` is typed when it asks (None: it must not ask)."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [TOP / "scripts/bootstrap", *groups],
            env=self.environment(variables),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        said = ""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux: the other side is closed
                break
            if not piece:
                break
            said += piece.decode()
            if "[y/N]" in said and answer is not None:
                os.write(ours, (answer + "\n").encode())
                answer = None
        os.close(ours)
        return Result(process.wait(timeout=600), "", said, self.calls())

    def test_nothing_missing_is_silent_and_asks_dpkg_once(self) -> None:
        result = self.bootstrap("bench", "test")
        self.assertEqual((result.status, result.out, result.err), (0, "", ""))
        self.assertEqual([c.split()[0] for c in result.calls], ["dpkg-query"])

    def test_only_the_named_groups_are_looked_at(self) -> None:
        result = self.bootstrap("bench", MISSING="libgtest-dev clang-tidy", UID_IS="0")
        self.assertEqual((result.status, result.changes()), (0, []))
        result = self.bootstrap("test", MISSING="libgtest-dev clang-tidy", UID_IS="0")
        self.assertIn("libgtest-dev", " ".join(result.changes()))
        self.assertNotIn("clang-tidy", " ".join(result.changes()))

    def test_root_gets_what_is_missing_and_no_more(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake libfmt-dev", UID_IS="0")
        self.assertEqual(result.status, 0)
        self.assertEqual(len(result.changes()), 1)
        self.assertRegex(
            result.changes()[0], r"^apt-get .*install --yes --no-install-recommends cmake libfmt-dev$"
        )
        self.assertEqual(result.out, "", "apt's chatter belongs on stderr: stdout is for results")
        self.assertIn("noise of apt-get", result.err)

    def test_the_size_is_named_before_anything_is_downloaded_or_asked(self) -> None:
        size = "scripts/bootstrap: download: 12.3 MB/45.6 MB, disk: 78.9 MB\n"
        for variables in ({"UID_IS": "0"}, {"UID_IS": "0", "NO_LISTS": "1"}, {"ASSUME_YES": "1"}):
            with self.subTest(variables):
                said = self.bootstrap("bench", MISSING="cmake", **variables).err
                self.assertIn(size, said)
                self.assertLess(said.index(size), said.index("noise of apt-get"))
        said = self.on_terminal("n", "bench", MISSING="cmake").err.replace("\r", "")
        self.assertLess(said.index(size), said.index("[y/N]"))

    def test_a_package_removed_but_for_its_settings_is_missing(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake:removed", UID_IS="0")
        self.assertRegex(" ".join(result.changes()), r"install .* cmake$")

    def test_lists_are_fetched_first_where_there_are_none(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake", UID_IS="0", NO_LISTS="1")
        self.assertEqual(result.status, 0)
        self.assertEqual([c.split()[4] for c in result.changes()], ["update", "install"])

    def test_old_lists_are_fetched_anew_after_a_failure(self) -> None:
        Path(f"{self.log}.stale").touch()
        result = self.bootstrap("bench", MISSING="cmake", UID_IS="0")
        self.assertEqual(result.status, 0)
        self.assertEqual([c.split()[4] for c in result.changes()], ["install", "update", "install"])

    def test_what_cannot_be_installed_ends_with_3_and_the_command(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake", UID_IS="0", INSTALL_STATUS="100")
        self.assertEqual(result.status, 3)
        self.assertIn("apt-get install --yes --no-install-recommends cmake", result.err)

    def test_without_terminal_or_root_the_command_is_said_with_3_and_sudo_left_alone(self) -> None:
        cases: list[dict[str, str]] = [{}, {"ASSUME_YES": "0"}, {"ASSUME_YES": ""}, {"CI": "true"}]
        for variables in cases:
            with self.subTest(variables):
                result = self.bootstrap("bench", MISSING="cmake ninja-build", **variables)
                self.assertEqual((result.status, result.changes()), (3, []))
                self.assertIn(
                    "sudo apt-get install --yes --no-install-recommends cmake ninja-build", result.err
                )

    def test_assume_yes_installs_by_sudo_that_needs_no_password(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake", ASSUME_YES="1")
        self.assertEqual(result.status, 0)
        self.assertTrue(
            all(c.startswith(("sudo -n ", "apt-get ")) for c in result.changes()), result.changes()
        )
        self.assertRegex(result.changes()[-1], r"^apt-get .*install .* cmake$")

    def test_assume_yes_does_not_wait_for_a_password(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake", ASSUME_YES="1", SUDO_PASSWORD="1")
        self.assertEqual((result.status, result.changes()), (3, ["sudo -n true"]))
        self.assertIn("sudo apt-get install", result.err)

    def test_without_sudo_the_command_is_one_for_su(self) -> None:
        (self.bin / "sudo").unlink()
        result = self.bootstrap("bench", MISSING="cmake", ASSUME_YES="1")
        self.assertEqual((result.status, result.changes()), (3, []))
        self.assertIn("su -c 'apt-get install --yes --no-install-recommends cmake'", result.err)

    def test_on_a_terminal_it_shows_the_command_and_obeys_a_yes(self) -> None:
        result = self.on_terminal("y", "bench", MISSING="cmake")
        self.assertEqual(result.status, 0)
        shown = result.err.split("[y/N]")[0]
        self.assertIn("sudo apt-get install --yes --no-install-recommends cmake", shown)
        self.assertRegex(result.changes()[0], r"^sudo env DEBIAN_FRONTEND=noninteractive apt-get .* cmake$")

    def test_on_a_terminal_anything_but_yes_is_a_no(self) -> None:
        for answer in ("n", "", "what?"):
            with self.subTest(answer):
                result = self.on_terminal(answer, "bench", MISSING="cmake")
                self.assertEqual((result.status, result.changes()), (3, []))
                self.assertIn("[y/N]", result.err)

    def test_a_terminal_in_ci_is_not_asked(self) -> None:
        result = self.on_terminal(None, "bench", MISSING="cmake", CI="true")
        self.assertEqual((result.status, result.changes()), (3, []))
        self.assertNotIn("[y/N]", result.err)

    def test_skip_deps_looks_at_nothing(self) -> None:
        result = self.bootstrap("bench", MISSING="cmake", SKIP_DEPS="1", UID_IS="0")
        self.assertEqual((result.status, result.out, result.err, result.calls), (0, "", "", []))

    def test_without_apt_it_says_what_is_needed_and_how_to_go_on(self) -> None:
        for gone in ("apt-get", "dpkg-query"):
            with self.subTest(gone):
                (self.bin / gone).unlink()
                result = self.bootstrap("bench", UID_IS="0")
                self.assertEqual((result.status, result.changes()), (3, []))
                self.assertIn("libsndfile1-dev", result.err)
                self.assertIn("SKIP_DEPS=1", result.err)
        self.assertEqual(self.bootstrap("bench", SKIP_DEPS="1").status, 0)

    def test_an_unknown_group_or_none_is_a_usage_error(self) -> None:
        result = self.bootstrap("bench", "bnech", UID_IS="0")
        self.assertEqual((result.status, result.calls), (2, []))
        self.assertIn("bnech", result.err)
        self.assertIn("bench test", result.err)
        self.assertEqual(self.bootstrap().status, 2)


class PackageList(unittest.TestCase):
    def test_every_package_stands_once_a_group_with_its_reason(self) -> None:
        group = ""
        seen: set[tuple[str, str]] = set()
        for number, line in enumerate((TOP / "packages/apt.txt").read_text().splitlines(), start=1):
            entry, _, reason = line.partition("#")
            entry = entry.strip()
            if not entry:
                continue
            self.assertTrue(reason.strip(), f"line {number}: {entry} has no reason")
            if entry.startswith("["):
                group = entry
                continue
            self.assertRegex(entry, r"^[a-z0-9][a-z0-9+.-]+$", f"line {number}")
            self.assertTrue(group, f"line {number}: {entry} stands before the first group")
            self.assertNotIn((group, entry), seen, f"line {number}")
            seen.add((group, entry))
        self.assertGreater(len(seen), 0)

    def test_make_and_the_list_speak_of_the_same_groups(self) -> None:
        listed = set(re.findall(r"^\[(\w+)\]", (TOP / "packages/apt.txt").read_text(), re.MULTILINE))
        used: set[str] = set()
        for call in re.findall(r"scripts/bootstrap ([a-z ]+)", (TOP / "Makefile").read_text()):
            used |= set(call.split())
        self.assertEqual(used, listed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
