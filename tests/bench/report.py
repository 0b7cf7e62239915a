# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark's output: tables of values, ratios and aims. Knows nothing of how they came."""
import math
from typing import NamedTuple, Optional


class Row(NamedTuple):
    label: str
    cost: NamedTuple  # median and least, ns
    aim: Optional[float] = None  # at most so many ns, of the median
    whole: bool = False  # a whole cost, not an added one: has no ratio
    floor: Optional[float] = None  # what the kernel alone takes, ns


def ratio(ns, base):
    """ns as a multiple of base, or a dash where base is lost in the noise."""
    return f"{ns / base:.2f}" if base > 0 and math.isfinite(ns) else "-"


def verdict(row):
    """Whether row keeps to its aim; an aim below what the kernel alone takes is said to be so."""
    if row.aim is None:
        return ""
    if row.cost.median <= row.aim:
        return f"<= {row.aim:.0f}  ok"
    alone = row.floor is not None and row.floor > row.aim
    return f"<= {row.aim:.0f}  over{' (the limit alone is)' if alone else ''}"


def table_print(title, rows, **bases):
    """rows under title, with a column of ratios for each of bases (name=cost)."""
    print(f"\n{title}")
    heads = "".join(f"{'x ' + name:>12}" for name in bases)
    print(f"  {'':44}{'median':>10}{'least':>10}{heads}  aim")
    for row in rows:
        cells = "".join(f"{'' if row.whole else ratio(row.cost.median, base.median):>12}"
                        for base in bases.values())
        print(f"  {row.label:44}{row.cost.median:10.1f}{row.cost.least:10.1f}{cells}  "
              f"{verdict(row)}".rstrip(), flush=True)


def remarks_print(samples):
    """What the tracer said of losses at the end of its last cycles; whether others disturbed."""
    for phase_name, lines in sorted(samples.talk.items()):
        for line in lines:
            if line.startswith("lost:"):
                print(f"  ({phase_name}: {line.strip()})")
    if samples.disturbed:
        print(f"  (NOT CLEAN: in {samples.disturbed} phases that should have none, another "
              "wsgiscope was attached)")
