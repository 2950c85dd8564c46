"""The SDK: a folder with one engine, made by ``make sdk``, that runs on a machine with nothing.

It is built once for each engine whose library is installed, in .cache, where a second run of the
tests finds what has not changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import program
import pytest

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"
MAKE = ROOT / "cpp/cmake/sdk/make_sdk.py"
LIMIT_MB = {"openvino": 120, "onnxruntime": 60}
EVERYWHERE = {"libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"}
OPENVINO = {
    "libhwloc.so.15",
    "liblunart_openvino.json",
    "liblunart_openvino.so",
    "libopenvino.so",
    "libopenvino_intel_cpu_plugin.so",
    "libopenvino_ir_frontend.so",
    "libopenvino_onnx_frontend.so",
    "libtbb.so.12",
    "libtbbbind_2_5.so.3",
    "libtbbmalloc.so.2",
}
PRIVATE = {
    "openvino": EVERYWHERE | OPENVINO,
    "onnxruntime": EVERYWHERE | {"liblunart_onnxruntime.json", "libonnxruntime.so"},
}
LICENCES = {
    "openvino": {"hwloc", "onetbb", "openvino"},
    "onnxruntime": {"onnxruntime"},
}
GLIBC = re.compile(r"(libc|libm|libdl|libpthread|librt|ld-linux-x86-64)\.so\.\d+")
NOTHING: dict[str, str] = {}  # an environment


def make_sdk(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(MAKE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _configured_for_the_developer() -> dict[str, str]:
    return {path.name: path.read_text() for path in (ROOT / "python/lunart").glob("*.json")}


@pytest.fixture(scope="module", params=sorted(LIMIT_MB))
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "onnxruntime":
        script = ["sh", str(ROOT / "cpp/cmake/onnxruntime_headers.sh")]
        done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(done.stderr)
    return name


@pytest.fixture(scope="module")
def sdk(engine: str) -> Path:
    before = _configured_for_the_developer()
    build = CACHE / f"sdk-{engine}"
    done = make_sdk("--engine", engine, "--build", build, "--dist", CACHE / "sdk")
    assert done.returncode == 0, done.stderr[-3000:]
    assert _configured_for_the_developer() == before
    assert str(ROOT / "python") not in (build / "build.ninja").read_text()
    said = re.fullmatch(r"(.+): ([\d.]+) MB of (\d+)\n", done.stdout)
    assert said is not None, done.stdout
    assert float(said[2]) < LIMIT_MB[engine] == int(said[3])
    print(done.stdout)
    return Path(said[1])


@pytest.fixture(scope="module")
def moved(sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy elsewhere, under a name that scripts stumble over."""
    target = tmp_path_factory.mktemp("sdk") / "far from home" / "an SDK"
    shutil.copytree(sdk, target, copy_function=_link)
    return target


@pytest.fixture(scope="module")
def nodules(engine: str, bundle: Path, phantom_scan: Path) -> list[dict[str, Any]]:
    """What the developer's program finds."""
    result = program.result_of(phantom_scan, "--bundle", bundle, "--engine", engine)
    assert result["nodules"]
    return result["nodules"]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _elf_files(sdk: Path) -> list[Path]:
    return [path for path in sdk.rglob("*") if path.is_file() and _begins_as_elf(path)]


def _begins_as_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _readelf(binary: Path) -> str:
    command = ["readelf", "--wide", "--dynamic", str(binary)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one["center_irc"] == pytest.approx(other["center_irc"], abs=0.5)
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-3)
        assert one["diameter_mm"] == pytest.approx(other["diameter_mm"], rel=0.02)


# --- what must not be made -----------------------------------------------------------------------


def test_an_engine_without_an_sdk_is_refused() -> None:
    done = make_sdk("--engine", "torch")
    assert done.returncode == 2
    assert "'torch'" in done.stderr
    assert "openvino" in done.stderr


def test_a_build_that_fails_leaves_nothing_and_keeps_the_old(engine: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    old = tmp_path / "dist" / f"lunart-sdk-{_version()}-{engine}"
    old.mkdir(parents=True)
    (old / "README.txt").write_text("old")
    done = make_sdk("--engine", engine, "--build", tmp_path / "file", "--dist", tmp_path / "dist")
    assert done.returncode != 0
    assert list((tmp_path / "dist").iterdir()) == [old]
    assert (old / "README.txt").read_text() == "old"


@pytest.mark.parametrize("missing", ["lib/lunart/libz.so.1", "lib/lunart/libstdc++.so.6"])
def test_a_folder_with_a_missing_library_is_refused(
    moved: Path, missing: str, tmp_path: Path, checks: Callable[[Path, float], None]
) -> None:
    spoilt = tmp_path / "sdk"
    shutil.copytree(moved, spoilt, copy_function=_link)
    checks(spoilt, 1000)
    (spoilt / missing).unlink()
    with pytest.raises(SystemExit, match=Path(missing).name.replace("+", r"\+")):
        checks(spoilt, 1000)


def test_a_folder_that_is_too_large_is_refused(
    moved: Path, checks: Callable[[Path, float], None]
) -> None:
    with pytest.raises(SystemExit, match="is more than 1"):
        checks(moved, 1)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, float], None]:
    monkeypatch.syspath_prepend(MAKE.parent)
    import make_sdk as script

    check: Callable[[Path, float], None] = script.check
    return check


def _version() -> str:
    found = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    assert found is not None
    return found[1]


# --- what is in it -------------------------------------------------------------------------------


def test_the_libraries_are_those_that_the_engine_opens(sdk: Path, engine: str) -> None:
    private = {re.sub(r"(\.so)\.[\d.]{3,}$", r"\1", p.name) for p in (sdk / "lib/lunart").iterdir()}
    assert private == PRIVATE[engine]
    assert {path.name for path in (sdk / "lib").iterdir()} == {"cmake", "liblunart.so", "lunart"}
    assert {path.name for path in (sdk / "bin").iterdir()} == {"luna_infer"}
    assert not [path for path in sdk.rglob("*") if path.is_symlink()]


def test_headers_are_the_public_ones_and_name_no_library(sdk: Path) -> None:
    public = {path.name: path.read_bytes() for path in (ROOT / "cpp/include/lunart").iterdir()}
    shipped = {path.name: path.read_bytes() for path in (sdk / "include/lunart").iterdir()}
    assert shipped == public
    included = set(re.findall(r"#include [<\"](.+)[>\"]", b"".join(public.values()).decode()))
    assert {name for name in included if "/" in name} <= {f"lunart/{name}" for name in public}
    assert all("." not in name for name in included if "/" not in name)  # the standard library's


def test_the_library_offers_the_public_names_alone(sdk: Path) -> None:
    command = ["nm", "--dynamic", "--demangle", "--defined-only", str(sdk / "lib/liblunart.so")]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.split(maxsplit=2)[2] for line in listed.splitlines()}
    headers = "".join(path.read_text() for path in (sdk / "include/lunart").iterdir())
    for name in names:
        found = re.match(r"(?:(?:typeinfo|typeinfo name|vtable) for )?lunart::(~?[\w:~]+)", name)
        assert found is not None, name
        assert all(word.strip("~") in headers for word in found[1].split("::")), name
    assert any(name.startswith("lunart::Runner::run(") for name in names)


def test_no_file_knows_the_machine_it_was_made_on(sdk: Path) -> None:
    folders = [str(path).encode() for path in (ROOT, Path(sys.prefix), Path.home())]
    ours = [path for path in sdk.rglob("*") if path.is_file() and not _is_of_others(path)]
    assert sdk / "bin/luna_infer" in ours
    for path in ours:
        content = path.read_bytes()
        assert not [folder for folder in folders if folder + b"/" in content], path


def _is_of_others(path: Path) -> bool:
    return path.parent.name == "lunart" and ".so" in path.name and "lunart" not in path.name


def test_nothing_but_glibc_is_needed_from_outside(sdk: Path) -> None:
    here = {path.name for path in (sdk / "lib/lunart").iterdir()} | {"liblunart.so"}
    for binary in _elf_files(sdk):
        dynamic = _readelf(binary)
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            assert name in here or GLIBC.fullmatch(name), (binary, name)
        for paths in re.findall(r"PATH\).*\[(.*)\]", dynamic):
            assert all(path.startswith("$ORIGIN") for path in paths.split(":")), (binary, paths)


def test_the_loader_finds_every_library_inside(moved: Path) -> None:
    ours = [path for path in _elf_files(moved) if not _is_of_others(path)]
    assert len(ours) >= 2
    for binary in ours:
        command = ["ldd", str(binary)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, path in re.findall(r"(\S+) => (.+) \(0x", said):
            inside = Path(path).resolve().is_relative_to(moved.resolve())
            assert inside or GLIBC.fullmatch(name), said
        assert "not found" not in said


def test_every_library_has_its_licence_and_is_listed_with_its_hash(sdk: Path, engine: str) -> None:
    bill = json.loads((sdk / "components.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    libraries = [bill["metadata"]["component"], *bill["components"]]
    names = {"lunart", "nlohmann-json", "zlib", "libstdc++", "libgcc"} | LICENCES[engine]
    assert {library["name"] for library in libraries} == names
    assert {path.name for path in (sdk / "licenses").iterdir()} == names
    hashes: dict[str, str] = {}
    for library in libraries:
        assert re.match(r"\d+\.\d+", library["version"]), library["name"]
        assert all(entry["expression"] for entry in library["licenses"])
        texts = [entry["url"] for entry in library["externalReferences"]]
        assert texts
        assert all(len((sdk / text).read_text(errors="replace")) > 500 for text in texts)
        for file in library.get("components", []):
            assert file["name"] not in hashes
            hashes[file["name"]] = file["hashes"][0]["content"]
        for place in library.get("evidence", {}).get("occurrences", []):
            assert (sdk / place["location"]).is_file()
    files = {str(path.relative_to(sdk)): path.read_bytes() for path in _elf_files(sdk)}
    assert hashes == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert list((sdk.parent).glob(".lunart-sdk-*")) == []


# --- what it does --------------------------------------------------------------------------------


def _run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([*map(str, command)], check=False, **settings)


def test_it_has_one_engine_and_says_how_to_get_the_others(moved: Path, engine: str) -> None:
    done = _run(moved / "bin/luna_infer", "--engines", env=NOTHING, cwd="/")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    built = [line for line in lines if line.startswith("[✓]")]
    assert [line.split()[1] for line in built] == [engine]
    assert len(lines) > 3
    for line in lines:
        assert line in built or ("not part of this build" in line and "LUNART_ENGINES" in line)


def test_an_engine_that_it_has_not_is_5(moved: Path, bundle: Path, phantom_scan: Path) -> None:
    done = _run(
        *(moved / "bin/luna_infer", phantom_scan, "--bundle", bundle, "--engine", "torchscript"),
        env=NOTHING,
    )
    assert done.returncode == 5
    assert "not part of this build" in done.stderr


def test_a_moved_folder_finds_the_same_nodules_in_an_empty_environment(
    moved: Path, bundle: Path, phantom_scan: Path, nodules: list[dict[str, Any]]
) -> None:
    done = _run(
        *(moved / "bin/luna_infer", phantom_scan, "--bundle", bundle, "--json", "-"),
        env=NOTHING,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    _same(json.loads(done.stdout)["nodules"], nodules)


@pytest.fixture
def bare_machine(moved: Path, bundle: Path, phantom_scan: Path, tmp_path: Path) -> list[str]:
    """A command that runs another where there are only the SDK, a bundle, a scan and glibc."""
    root = tmp_path / "machine"
    shutil.copytree(moved, root / "sdk", copy_function=_link)
    shutil.copytree(bundle, root / "bundle")
    for path in (phantom_scan, phantom_scan.with_suffix(".raw")):
        shutil.copy(path, root / path.name)
    for name in ("proc", "sys"):
        (root / name).mkdir()
    libraries = {Path("/lib64/ld-linux-x86-64.so.2")}
    for binary in _elf_files(moved):
        said = _run("ldd", binary).stdout
        found = {Path(path) for path in re.findall(r" => (\S+) \(0x", said)}
        libraries |= {path for path in found if GLIBC.fullmatch(path.name)}
    for path in libraries:
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    mount = 'for name in proc sys; do mount --rbind "/$name" "$0/$name" || exit; done'
    # Many users have no /usr/sbin in their PATH.
    chroot = shutil.which("chroot", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin:/sbin")
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if chroot is None or shutil.which("unshare") is None or _run(*inside, mount, root).returncode:
        pytest.skip("this machine lets nobody make namespaces (unshare --user --mount)")
    return [*inside, f'{mount}; exec {chroot} "$0" "$@"', str(root)]


def test_it_runs_on_a_machine_with_nothing_but_glibc(
    bare_machine: list[str], phantom_scan: Path, nodules: list[dict[str, Any]]
) -> None:
    absent = _run(*bare_machine, "/bin/sh", "-c", "true")
    assert absent.returncode == 127, absent.stderr
    done = _run(
        *(*bare_machine, "/sdk/bin/luna_infer", f"/{phantom_scan.name}"),
        *("--bundle", "/bundle", "--json", "-"),
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    _same(json.loads(done.stdout)["nodules"], nodules)


@pytest.fixture(scope="module")
def example(moved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/cpp of the SDK, built in an empty folder."""
    build = tmp_path_factory.mktemp("example")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path}
    source = moved / "examples/cpp"
    for command in (
        ["cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={moved}"],
        ["cmake", "--build", build],
    ):
        done = _run(*command, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "find_nodules"


def test_the_example_prints_the_programs_nodules(
    example: Path, bundle: Path, phantom_scan: Path, nodules: list[dict[str, Any]]
) -> None:
    done = _run(example, bundle, phantom_scan, env=NOTHING, cwd="/")
    assert done.returncode == 0, done.stderr
    number = r"(-?[\d.]+)"
    line = re.compile(rf"{number} mm at {number} {number} {number}, p = {number}\n")
    assert line.sub("", done.stdout) == ""
    found = [[float(value) for value in values] for values in line.findall(done.stdout)]
    assert len(found) == len(nodules)
    for values, nodule in zip(found, nodules, strict=True):
        expected = [nodule["diameter_mm"], *nodule["center_xyz_mm"]]
        assert values[:4] == pytest.approx(expected, abs=0.051)
        assert values[4] == pytest.approx(nodule["probability"], abs=1.6e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "usage: find_nodules BUNDLE SCAN"),
        (["/nowhere", "{scan}"], 4, "/nowhere"),
        (["{bundle}", "/nowhere.mhd"], 3, "/nowhere.mhd"),
    ],
)
def test_the_example_reports_errors_by_exit_code(
    example: Path,
    bundle: Path,
    phantom_scan: Path,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    named = [text.format(bundle=bundle, scan=phantom_scan) for text in arguments]
    done = _run(example, *named, env=NOTHING)
    assert done.returncode == code
    assert done.stderr.startswith("find_nodules: ")
    assert said in done.stderr
    assert done.stdout == ""
