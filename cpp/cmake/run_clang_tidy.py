"""Runs clang-tidy on our sources, only on those that changed since they were last clean.

A file's verdict depends on itself, every header of ours and the settings, so the stamp of a clean
file is a hash of all of them. torch's headers take clang-tidy minutes, and it cannot read ITK's:
the files that include them are left out.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT / ".cache/clang-tidy"
LEFT_OUT = {
    *(
        ROOT / "cpp/src/engines" / name
        for name in (
            "aotinductor.cpp",
            "aotinductor_package.cpp",
            "torch_workers.cpp",
            "torchscript.cpp",
        )
    ),
    # ITK 5.2's headers know no newer clang; GDCM's counted pointers look freed to it.
    *(
        ROOT / "cpp/src/itk" / name
        for name in ("dicom_pixels.cpp", "itk_image.cpp", "nifti.cpp", "nrrd.cpp")
    ),
}


def digest_of(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_clean(tidy: str, source: Path) -> bool:
    # Warnings that only GCC knows would be errors of their own.
    command = [tidy, "--quiet", "-p", "build", "--extra-arg=-Wno-unknown-warning-option", source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout or done.stderr)
    return done.returncode == 0


def main() -> int:
    tidy = shutil.which("clang-tidy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if tidy is None:
        print("clang-tidy is not installed: pip install 'lunart[test]'", file=sys.stderr)
        return 1
    entries = json.loads((ROOT / "build/compile_commands.json").read_text())
    sources = sorted({Path(entry["file"]) for entry in entries} - LEFT_OUT)
    common = digest_of(ROOT / ".clang-tidy", *sorted(ROOT.glob("cpp/**/*.hpp")))
    stamps = {
        s: STAMPS / hashlib.sha256(f"{common}{digest_of(s)}".encode()).hexdigest() for s in sources
    }
    todo = [source for source in sources if not stamps[source].exists()]
    STAMPS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(lambda source: is_clean(tidy, source), todo))
    for source, clean in zip(todo, verdicts, strict=True):
        if clean:
            stamps[source].touch()
    wrong = verdicts.count(False)
    print(f"clang-tidy: {len(todo)} of {len(sources)} files read, {wrong} with findings")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
