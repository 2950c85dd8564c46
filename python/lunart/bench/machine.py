"""Which machine measured: what a reader needs to compare numbers, and nothing that names it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from lunart import _core
from lunart.bench.figures import Machine


def describe() -> Machine:
    """The machine that runs this."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        processors=_core.usable_processors(),
        memory_gb=round(pages / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
    )


def peak_rss_mb() -> float:
    """Of this program's own life: getrusage would count the program that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
