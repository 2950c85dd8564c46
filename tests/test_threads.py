"""How many threads a run uses: affinity, container limits, and what was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lunart import _core
from lunart.errors import UsageError

ALLOWED = len(os.sched_getaffinity(0))


def _machine(tmp_path: Path, membership: str, files: dict[str, str]) -> Path:
    """A root folder with /proc/self/cgroup and control files below /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", ALLOWED),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("100001 100000\n", min(2, ALLOWED)),
        ("6400000 100000\n", min(64, ALLOWED)),
        ("", ALLOWED),
        ("0 0\n", ALLOWED),
        ("garbage\n", ALLOWED),
    ],
)
def test_a_container_limit_of_cgroup_v2_is_respected(
    quota: str, expected: int, tmp_path: Path
) -> None:
    root = _machine(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": quota})
    assert _core.usable_processors(root) == expected


def test_the_least_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    groups = {
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pod/cpu.max": "100000 100000\n",
        "sys/fs/cgroup/pod/box/cpu.max": "800000 100000\n",
    }
    assert _core.usable_processors(_machine(tmp_path, "0::/pod/box\n", groups)) == 1


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_a_container_limit_of_cgroup_v1_is_respected(controllers: str, tmp_path: Path) -> None:
    folder = f"sys/fs/cgroup/{controllers}/box"
    limits = {f"{folder}/cpu.cfs_quota_us": "90000\n", f"{folder}/cpu.cfs_period_us": "100000\n"}
    root = _machine(tmp_path, f"9:pids:/\n4:{controllers}:/box\n0::/\n", limits)
    assert _core.usable_processors(root) == 1


def test_no_quota_of_cgroup_v1_is_no_limit(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/cpu"
    limits = {f"{folder}/cpu.cfs_quota_us": "-1\n", f"{folder}/cpu.cfs_period_us": "100000\n"}
    assert _core.usable_processors(_machine(tmp_path, "1:cpu:/\n", limits)) == ALLOWED


def test_a_machine_without_control_groups_has_its_processors(tmp_path: Path) -> None:
    assert _core.usable_processors(tmp_path) == ALLOWED


def test_what_is_asked_for_is_used() -> None:
    assert _core.thread_count(3) == 3
    assert _core.thread_count(0) == _core.usable_processors()


@pytest.mark.parametrize("wanted", [-1, 10_000])
def test_a_number_that_makes_no_sense_is_refused(wanted: int) -> None:
    with pytest.raises(UsageError, match=str(wanted)):
        _core.thread_count(wanted)
