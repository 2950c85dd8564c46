"""How much memory this process holds."""

from __future__ import annotations

from pathlib import Path


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
