"""The report in a real browser: offline, readable, without a complaint, in both themes, narrow, and with scripts off.

Needs Debian's chromium, chromium-driver and python3-selenium; ends with 77 where one of them is missing. With
NOISEFLOOR_SCREENSHOTS=FOLDER pictures of the whole page are kept there, to be looked at.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from scripts import report as command
from tests.python import synthetic

webdriver: Any = None
service: Any = None
with contextlib.suppress(ImportError):
    webdriver = importlib.import_module("selenium.webdriver")
    service = importlib.import_module("selenium.webdriver.chrome.service")


def lacking() -> str:
    """What is not here, or nothing."""
    if webdriver is None:
        return "python3-selenium"
    return ", ".join(
        package
        for package, program in (("chromium", "chromium"), ("chromium-driver", "chromedriver"))
        if shutil.which(program) is None
    )


def rgb(text: str) -> list[float]:
    return [float(part) for part in text[text.index("(") + 1 : text.index(")")].split(",")[:3]]


def luminance(color: list[float]) -> float:
    """Of WCAG 2."""
    linear: list[float] = [
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: list[float], b: list[float]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


class Browser(unittest.TestCase):
    folder: ClassVar[Path]
    pages: ClassVar[dict[str, str]]
    driver: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        full = [*synthetic.full_cells(2), *synthetic.quick_cells(2)]
        runs: dict[str, list[synthetic.Row]] = {
            "full": synthetic.observations(full, noise=0.05, rounds=7),
            "failed": synthetic.observations(full, rounds=1, status=lambda _: ("failed", "disk full")),
            "empty": [],
            "broken": [{**row, "schema": 9} for row in synthetic.observations([synthetic.cell()], rounds=1)],
        }
        cls.pages = {}
        for name, rows in runs.items():
            run = synthetic.write_run(cls.folder / name, rows)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                command.main([str(run)])
            cls.pages[name] = (run / "report.html").as_uri()
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
        ):
            options.add_argument(argument)
        if os.geteuid() == 0:  # Chromium's sandbox refuses root; the page is our own
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        cls.driver = webdriver.Chrome(service=service.Service(shutil.which("chromedriver")), options=options)
        cls.addClassCleanup(cls.driver.quit)
        cls.driver.execute_cdp_cmd("Network.enable", {})
        cls.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
        )

    def visit(self, name: str, *, theme: str = "light", width: int = 1200, scripts: bool = True) -> None:
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)  # what earlier pages left
        cdp = self.driver.execute_cdp_cmd
        cdp("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        features = [{"name": "prefers-color-scheme", "value": theme}]
        cdp("Emulation.setEmulatedMedia", {"features": features})
        cdp(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        self.driver.get(self.pages[name])

    def ask(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def keep(self, name: str) -> None:
        folder = os.environ.get("NOISEFLOOR_SCREENSHOTS")
        if not folder:
            return
        width, height = self.ask("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16_000), "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
        )
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def test_no_page_asks_the_network_or_complains(self) -> None:
        for name in self.pages:
            with self.subTest(page=name):
                self.visit(name)
                self.assertEqual(self.driver.get_log("browser"), [])
                events = [
                    json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
                ]
                asked = [
                    event["params"]["request"]["url"]
                    for event in events
                    if event["method"] == "Network.requestWillBeSent"
                ]
                self.assertIn(self.pages[name], asked, "the log would show a request")
                self.assertEqual([url for url in asked if not url.startswith(("file:", "data:"))], [])
                self.assertGreater(len(self.ask("document.body.innerText")), 100)

    def test_every_figure_is_visible_and_larger_than_a_thumbnail(self) -> None:
        for theme in ("light", "dark"):
            self.visit("full", theme=theme)
            self.keep(f"full-{theme}")
            boxes = self.ask(
                "Array.from(document.querySelectorAll('figure svg')).map(s => {const b = s.getBoundingClientRect();"
                " return [s.querySelector('title').textContent, b.width, b.height,"
                " s.checkVisibility(), s.querySelectorAll('path,use').length,"
                " Array.from(s.querySelectorAll('text')).filter(t => t.getBoundingClientRect().width > 0).length]})"
            )
            self.assertGreaterEqual(len(boxes), 12)
            for title, width, height, visible, marks, texts in boxes:
                with self.subTest(theme=theme, figure=title):
                    self.assertTrue(visible)
                    self.assertGreater(width, 600)
                    self.assertGreater(height, 100)
                    self.assertGreater(marks, 5)
                    self.assertGreater(texts, 5)

    def test_both_themes_can_be_read_and_the_button_changes_them(self) -> None:
        paper = "getComputedStyle(document.body).backgroundColor"
        for theme, other in (("light", "dark"), ("dark", "light")):
            self.visit("full", theme=theme)
            for now in (theme, other):
                background = rgb(self.ask(paper))
                self.assertEqual(luminance(background) < 0.2, now == "dark", now)
                for selector in ("body", "figcaption", "a", "td", "dd strong", ".missing", "figure svg text"):
                    rule = "fill" if "svg" in selector else "color"
                    color = self.ask(f"getComputedStyle(document.querySelector('{selector}')).{rule}")
                    self.assertGreaterEqual(contrast(rgb(color), background), 4.5, f"{selector}, {now}")
                lines = self.ask(
                    "Array.from(new Set(Array.from(document.querySelectorAll('figure svg path')).map("
                    "p => getComputedStyle(p).stroke).filter(s => s.startsWith('rgb('))))"
                )
                self.assertGreaterEqual(max(contrast(rgb(line), background) for line in lines), 7, now)
                self.driver.find_element("id", "theme").click()

    def test_tables_sort_by_number_both_ways_and_keep_what_is_missing_last(self) -> None:
        self.visit("full")
        table = "document.getElementById('ranking-table')"
        heads = self.ask(f"Array.from({table}.tHead.rows[0].cells).map(c => c.innerText.trim())")
        for name in ("time per iteration", "speed-up", "n", "cell"):
            column = next(i for i, text in enumerate(heads) if text.startswith(name))
            script = (
                f"Array.from({table}.tBodies[0].rows).map(r => r.cells[{column}])"
                ".map(c => c.dataset.key !== undefined ? c.dataset.key : c.innerText)"
            )
            before = self.ask(script)
            for direction in ("ascending", "descending"):
                self.ask(f"{table}.tHead.rows[0].cells[{column}].querySelector('button').click()")
                self.assertEqual(
                    self.ask(f"{table}.tHead.rows[0].cells[{column}].getAttribute('aria-sort')"), direction
                )
                after = self.ask(script)
                self.assertEqual(sorted(after), sorted(before))
                known = [text for text in after if text != ""]
                self.assertEqual(after[: len(known)], known, "what is missing comes last")
                if name != "cell":
                    values = [float(text.replace(",", "")) for text in known]
                    self.assertEqual(values, sorted(values, reverse=direction == "descending"))

    def test_the_ranking_is_filtered_and_exported_as_text(self) -> None:
        self.visit("full")
        field = self.driver.find_element("id", "filter")
        field.send_keys("openmp chunk")
        rows = "Array.from(document.querySelectorAll('#ranking-table tbody tr'))"
        shown, total = self.ask(f"[{rows}.filter(r => !r.hidden).map(r => r.innerText), {rows}.length]")
        self.assertTrue(0 < len(shown) < total)
        self.assertTrue(all("openmp" in text and "chunk" in text for text in shown))
        self.assertEqual(
            self.ask("document.getElementById('shown').innerText"), f"{len(shown)} of {total} cells"
        )
        self.driver.find_element("id", "export").click()
        lines = self.ask("document.getElementById('exported').textContent").splitlines()
        self.assertEqual(len(lines), len(shown) + 1)
        self.assertTrue(lines[0].startswith("sweep"))
        self.assertEqual(self.ask("getSelection().toString().length > 100"), True)

    def test_a_narrow_window_scrolls_figures_and_tables_but_not_the_page(self) -> None:
        for theme in ("light", "dark"):
            self.visit("full", theme=theme, width=360)
            self.keep(f"full-{theme}-narrow")
            self.assertLessEqual(self.ask("document.documentElement.scrollWidth"), 360)
            self.assertGreaterEqual(
                self.ask("parseFloat(getComputedStyle(document.querySelector('dd')).fontSize)"), 14
            )
            small = self.ask(
                "Math.min(...Array.from(document.querySelectorAll('figure svg text')).map("
                "t => t.getBoundingClientRect().height))"
            )
            self.assertGreaterEqual(small, 6)

    def test_with_scripts_off_all_is_there_but_the_buttons(self) -> None:
        self.visit("full", scripts=False)
        try:
            text = self.driver.find_element("css selector", "dl.verdict").text
            self.assertIn("[", text)
            self.assertFalse(self.driver.find_element("id", "theme").is_displayed())
            self.assertFalse(self.driver.find_element("id", "filter").is_displayed())
            figures = self.driver.find_elements("css selector", "figure svg")
            self.assertGreaterEqual(len(figures), 12)
            self.assertTrue(all(figure.is_displayed() for figure in figures))
            self.driver.find_element("css selector", "details summary").click()
            self.assertTrue(self.driver.find_element("css selector", "details table").is_displayed())
        finally:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    def test_what_could_not_be_drawn_is_said(self) -> None:
        for name, words in (("failed", "disk full"), ("empty", "no rows"), ("broken", "schema 9 is newer")):
            self.visit(name)
            self.keep(name)
            self.assertIn(words, self.ask("document.body.innerText"))
            self.assertEqual(self.ask("document.querySelectorAll('figure svg').length"), 0)


if __name__ == "__main__":
    if missing := lacking():
        print(f"skipped: the report cannot be opened in a browser here without {missing}")
        sys.exit(77)
    unittest.main()
