"""What others took from a run, as the program has recorded it: disturbance.json. Nothing is computed again here.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Disturbance:
    """`is_known` is false for runs of older programs. Shares are of the launch's wall time (`launch_limit`) and of the
    CPUs' time (`run_limit`); `taken` is how many CPUs other work and the hypervisor took on average, None where it is not known.
    `doubts` are those of this run, `standing` those of the machine, whatever runs on it.
    `not_counted`: launches, as in the column of that name, that were measured again for being disturbed."""

    is_known: bool = False
    is_busy: bool = False
    sentence: str = ""
    cpus: int = 0
    taken: float | None = None
    launch_limit: float = 0.05
    run_limit: float = 0.05
    launches: int = 0
    disturbed: int = 0
    again: int = 0
    not_counted: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Why a sentence cannot be said; "" if the disturbance is no reason."""
        if not self.is_busy:
            return ""
        what = self.sentence.partition(" during the run")[0] or "other work ran beside it"
        return f"{what}, and several workers feel that more than one does"


UNKNOWN: Final = Disturbance()


def parse(facts: Mapping[str, Any]) -> Disturbance:
    """From the object in disturbance.json. Throws ValueError or TypeError for what is none."""
    before = facts.get("before") or {}
    others = facts.get("others_cpus")
    return Disturbance(
        is_known=True,
        is_busy=bool(facts["busy"]),
        sentence=str(facts.get("sentence") or ""),
        cpus=int(facts["cpus"]),
        taken=None if others is None else float(others) + float(facts.get("stolen_cpus") or 0),
        launch_limit=float(facts["launch_limit"]),
        run_limit=float(facts["run_limit"]),
        launches=int(facts["launches"]),
        disturbed=int(facts["disturbed"]),
        again=int(facts["again"]),
        not_counted=frozenset(str(one) for one in facts.get("not_counted") or []),
        doubts=tuple(str(one) for one in before.get("doubts") or []),
        standing=tuple(str(one) for one in before.get("standing_doubts") or []),
    )
