"""`noisefloor judge` says of a session what scipy and the textbook's formulas say.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import unittest
from typing import Any

import numpy as np
from scipy import stats as scipy_stats


def ask(*sessions: Any) -> list[Any]:
    lines = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in sessions)
    done = subprocess.run(
        [os.environ["NOISEFLOOR_PROGRAM"], "judge"], input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def ratios(generator: np.random.Generator, shift: float, n: int) -> list[float]:
    return list(shift + 0.01 * generator.standard_t(4, n))


class AgainstScipy(unittest.TestCase):
    def test_p_is_that_of_the_signed_rank_test(self) -> None:
        generator = np.random.default_rng(1)
        values = [ratios(generator, 0.004, n) for n in (6, 10, 18, 30, 45)]
        found = ask({"cells": [{"screened": one} for one in values]})[0]["cells"]
        for one, cell in zip(values, found):
            sides = [
                scipy_stats.wilcoxon(one, alternative=side, mode="exact").pvalue
                for side in ("greater", "less")
            ]
            self.assertAlmostEqual(cell["p"], min(sides), places=10)

    def test_effect_is_the_median_of_all_means_of_two(self) -> None:
        generator = np.random.default_rng(2)
        values = np.array(ratios(generator, 0.03, 21))
        i, j = np.triu_indices(values.size)
        cell = ask({"cells": [{"screened": list(values)}]})[0]["cells"][0]
        self.assertAlmostEqual(math.log1p(cell["effect"]), float(np.median((values[i] + values[j]) / 2)))
        spread = scipy_stats.median_abs_deviation(values, scale=1 / 1.4826)
        self.assertAlmostEqual(cell["sigma"], float(spread))

    def test_fresh_rounds_are_corrected_for_all_flagged_cells(self) -> None:
        generator = np.random.default_rng(3)
        cells = [
            {"screened": ratios(generator, shift, 18), "confirmed": ratios(generator, shift, 12)}
            for shift in (0.01, 0.012, 0.015, 0.02)
        ]
        found = ask({"cells": cells})[0]["cells"]
        flagged = [k for k, cell in enumerate(found) if cell["flagged"]]
        self.assertGreaterEqual(len(flagged), 2)
        p = {k: scipy_stats.wilcoxon(cells[k]["confirmed"], alternative="greater").pvalue for k in flagged}
        screen = {
            k: scipy_stats.wilcoxon(cells[k]["screened"], alternative="greater").pvalue for k in flagged
        }
        weights = {k: screen[k] ** -0.5 for k in flagged}
        left, largest = sum(weights.values()), 0.0
        for k in sorted(flagged, key=lambda k: float(p[k] / weights[k])):  # Holm's steps, with weights
            largest = max(largest, min(1.0, p[k] * left / weights[k]))
            left -= weights[k]
            self.assertAlmostEqual(found[k]["p"], largest, places=9)


class Lines(unittest.TestCase):
    def test_every_session_has_its_answer_in_order(self) -> None:
        same, slower = [0.001, -0.001] * 9, [0.1 + i / 1000 for i in range(18)]
        answers = ask({"cells": [{"screened": same}]}, {"cells": [{"screened": slower}]})
        self.assertEqual([one["cells"][0]["flagged"] for one in answers], [False, True])
        self.assertEqual(answers[1]["confirm"], {"cells": [0], "left_out": [], "rounds": 45})

    def test_a_deadline_that_one_build_overran_is_the_largest_change(self) -> None:
        cell = ask({"cells": [{"screened": ["inf"] * 18, "confirmed": ["inf"] * 45}]})[0]["cells"][0]
        self.assertEqual((cell["verdict"], cell["effect"]), ("REGRESSED", "inf"))

    def test_what_is_no_session_is_refused_with_its_line(self) -> None:
        for line in ("nonsense\n", '{"cells": 1}\n', '{"cells": [{"screened": ["x"]}]}\n'):
            done = subprocess.run(
                [os.environ["NOISEFLOOR_PROGRAM"], "judge"], input=line, capture_output=True, text=True
            )
            self.assertEqual(done.returncode, 2, line)
            self.assertIn("line 1", done.stderr)


if __name__ == "__main__":
    unittest.main()
