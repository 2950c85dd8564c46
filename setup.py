"""Builds the wheel: CMake makes the extension, the libtorch module and the program luna_infer.

Everything declarative is in pyproject.toml; here is what it cannot say: one pin of torch for all
extras, and where CMake's outputs go. `luna_infer` lands in the wheel's scripts as the native file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent
# The one place that names the torch that lunart is built, exported and verified with.
TORCH = os.environ.get("TORCH") or (ROOT / "torch-requirement.txt").read_text().strip()

EXPORT = [
    TORCH,
    "safetensors>=0.4.5",
    "onnx>=1.17",
    "onnx-ir>=0.1.16",
    "onnxscript>=0.5",
    "onnxruntime>=1.20",
    "Pillow>=11",
]
# The engine module is built for one version, as libtorch's is.
OPENVINO = next(
    line
    for line in (ROOT / "build-requirements.txt").read_text().split()
    if line.startswith("openvino")
)
DATA = ["diskcache>=5.6", "matplotlib>=3.8", "Pillow>=11", "scipy>=1.11"]
TRAIN = [*EXPORT, *DATA, "lightning>=2.6", "tensorboard>=2.19", "torchmetrics>=1.6"]
PICTURES = ["contourpy>=1.2", "Pillow>=11", "scipy>=1.11"]
REPORT = [*PICTURES, "Jinja2>=3.1"]
DICOM = [
    *PICTURES,
    "highdicom>=0.28,<0.29",
    "pydicom>=3",
    "SimpleITK>=2.4",
]
EXTRAS = {
    "torch": [TORCH],
    "openvino": [OPENVINO],
    "bench": [*EXPORT, OPENVINO, "matplotlib>=3.8", "scipy>=1.11"],
    "onnxruntime": ["onnxruntime>=1.20"],
    "export": EXPORT,
    "dicom": DICOM,
    "pandas": ["pandas>=2.1"],
    "report": REPORT,
    "evaluate": [*DATA, "safetensors>=0.4.5", "SimpleITK>=2.4"],
    "train": TRAIN,
    "view": ["SimpleITK>=2.4"],
    "test": [
        *TRAIN,
        *DICOM,
        *REPORT,
        OPENVINO,
        "SimpleITK>=2.4",
        "clang-format==23.1.5",
        "clang-tidy==23.1.4",
        "jsonschema>=4.20",
        "mypy==2.4.1",
        "pandas>=2.1",
        "playwright>=1.50",
        "pytest-timeout>=2.3",
        "pytest>=8",
        "ruff==0.17.6",
    ],
}
BUILD = [*(ROOT / "build-requirements.txt").read_text().split(), TORCH]


class CMakeBuild(build_ext):
    """Configures and builds in ./build, then copies the runtime files where setuptools wants."""

    def run(self) -> None:
        build = ROOT / "build"
        version = self.distribution.get_version()
        # cmake and ninja of this environment, also when it is not activated.
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        tool = {name: shutil.which(name, path=path) or name for name in ("cmake", "ninja")}
        configure = [
            tool["cmake"], "-G", "Ninja", "-S", str(ROOT), "-B", str(build),
            f"-DPython_EXECUTABLE={sys.executable}", f"-DLUNART_VERSION={version}",
            f"-DCMAKE_MAKE_PROGRAM={tool['ninja']}",
        ]  # fmt: skip
        subprocess.run(configure, check=True)
        subprocess.run([tool["cmake"], "--build", str(build)], check=True)
        if self.inplace:
            return  # CMake's outputs lie in the source tree already
        stage = Path(self.build_temp).resolve() / "stage"
        install = [tool["cmake"], "--install", str(build), "--prefix", str(stage)]
        subprocess.run(install, check=True)
        shutil.copytree(stage / "lunart", Path(self.build_lib) / "lunart", dirs_exist_ok=True)
        # Beside the package until bdist_wheel moves it among the scripts: setuptools' own scripts
        # are text whose first line it may rewrite.
        shutil.copytree(stage / "scripts", Path(self.build_temp) / "scripts", dirs_exist_ok=True)

    def get_outputs(self) -> list[str]:
        return []


class BuildPy(build_py):
    """Leaves out what an in-place build put into the source tree."""

    def find_data_files(self, package: str, src_dir: str) -> list[str]:
        files = super().find_data_files(package, src_dir)
        return [f for f in files if not f.endswith(".so") and "liblunart_" not in f]


class NativeScripts(bdist_wheel):
    """Puts luna_infer into the wheel's scripts, and names the platform and interpreter."""

    def run(self) -> None:
        self.run_command("build")
        scripts = Path(self.get_finalized_command("build_ext").build_temp) / "scripts"
        data = Path(self.bdist_dir) / f"{self.wheel_dist_name}.data" / "scripts"
        data.mkdir(parents=True, exist_ok=True)
        shutil.copy2(scripts / "luna_infer", data / "luna_infer")
        super().run()


class BinaryDistribution(Distribution):
    """There is always compiled code."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    distclass=BinaryDistribution,
    ext_modules=[Extension("lunart._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild, "build_py": BuildPy, "bdist_wheel": NativeScripts},
    extras_require=EXTRAS,
    setup_requires=BUILD,
)
