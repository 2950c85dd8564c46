"""``luna-export``: trained weights to a proved bundle."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lunart.bundle import IMAGES, NODULES, ROLES
from lunart.cli import Parser, run, say
from lunart.errors import BundleError, UsageError
from lunart.export.formats import CHOICES, DEFAULT, chosen

if TYPE_CHECKING:
    from lunart.export.compare import Check
    from lunart.models.checkpoint import Checkpoint

_PROG = "luna-export"
_EMBEDDED = Path(__file__).parent.parent / "weights"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-export`` and return its exit code."""
    return run(_PROG, lambda: _run(argv), extra="export")


def _parser() -> Parser:
    parser = Parser(
        _PROG,
        "Export trained networks into a bundle, compare every artifact with eager PyTorch, and\n"
        "write the bundle only when all of them agree. Without weights: the embedded ones that\n"
        "find nodules.",
    )
    parser.add_argument(
        "--format",
        choices=CHOICES,
        default=DEFAULT,
        help="what to export; 'torchscript' is both kinds, 'portable' is TorchScript and ONNX, "
        "'all' adds native code for this machine, which needs a C++ compiler "
        f"(default: {DEFAULT})",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help="the bundle's own folder; an older bundle there is replaced (default: exported/NAME)",
    )
    parser.add_argument(
        "--name", help="name of the bundle (default: luna, or that of an image classifier's file)"
    )
    for role in ROLES:
        parser.add_argument(
            f"--{role}",
            metavar="FILE",
            type=Path,
            help=f"{role} weights: .safetensors, or the book's .state"
            + (" (optional)" if role == "malignancy" else " (default: the embedded weights)"),
        )
    parser.add_argument(
        "--image-classifier",
        metavar="FILE|NAME",
        help="weights of an image classifier, or the name of embedded ones such as cifar-resdeep; "
        "makes a bundle of its own",
    )
    parser.add_argument(
        "--image-settings",
        metavar="FILE",
        type=Path,
        help="JSON with the classes and the preprocess of a manifest, for an image classifier "
        "whose weights do not record them",
    )
    parser.add_argument(
        "--json", action="store_true", help="JSON on standard output, tick lines on standard error"
    )
    return parser


def _run(argv: Sequence[str] | None) -> None:
    options = _parser().parse_args(argv)
    _check(options)
    name = _name_of(options)
    target = Path("exported", name) if options.output is None else options.output
    ticks = sys.stderr if options.json else sys.stdout
    checks: list[Check] = []

    def tick(check: Check) -> None:
        checks.append(check)
        say(check.line, ticks)

    # PyTorch is loaded from here on: --help and a wrong option do not wait for it.
    from lunart.export.tasks import task_of
    from lunart.export.writer import write_bundle

    task = NODULES if options.image_classifier is None else IMAGES
    checkpoints = _checkpoints(options) if task == NODULES else _image_checkpoints(options)
    report: dict[str, Any] = {"name": name, "bundle": None, "manifest_sha256": None}
    try:
        bundle = write_bundle(
            target,
            name=name,
            task=task,
            checkpoints=checkpoints,
            formats=chosen(options.format),
            on_check=tick,
        )
        report.update(bundle=str(target), manifest_sha256=bundle.sha256)
        precisions = bundle.manifest["verification"]["precisions"]
        report["precisions"] = precisions
        for precision, statement in precisions.items():
            say(task_of(bundle).line_of(precision, statement), ticks)
    finally:
        if options.json and checks:
            _print_json(report, checks)
    say(f"{len(checks)} checks passed, bundle written to {target}", ticks)


def _check(options: Namespace) -> None:
    if options.image_classifier is None:
        if options.image_settings is not None:
            raise UsageError("--image-settings needs --image-classifier")
        return
    for role in ROLES:
        if getattr(options, role) is not None:
            raise UsageError(
                f"--image-classifier goes with no --{role}: a bundle classifies images or finds "
                "nodules; export two"
            )


def _name_of(options: Namespace) -> str:
    """The bundle's: as given, else after the file of an image classifier."""
    classifier: str | None = options.image_classifier
    stem = "luna" if classifier is None else Path(classifier).stem
    name: str = stem if options.name is None else options.name
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        return name
    raise UsageError(
        f"--name {name!r}: letters, digits, '.', '_' and '-', starting with a letter or digit"
    )


def _image_checkpoints(options: Namespace) -> dict[str, Checkpoint]:
    """The one network of the bundle, by its role there."""
    from lunart.models.architectures import CLASSIFIER
    from lunart.models.checkpoint import load_checkpoint
    from lunart.models.images import Images
    from lunart.models.shipped import shipped

    given: str = options.image_classifier
    is_name = not Path(given).exists() and Path(given).name == given and "." not in given
    checkpoint = shipped(given) if is_name else load_checkpoint(given, CLASSIFIER)
    path: Path | None = options.image_settings
    if path is not None:
        if checkpoint.images is not None:
            raise UsageError(
                f"--image-settings {path}: {given} records its classes and preprocessing; leave "
                "the option out"
            )
        images = Images.read(_json_object(path), checkpoint.architecture)
        checkpoint = replace(checkpoint, images=images)
    return {"classification": checkpoint}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, dict):
        raise BundleError(f"{path}: an object with classes and preprocess is expected")
    return data


def _checkpoints(options: Namespace) -> dict[str, Checkpoint]:
    from lunart.models.checkpoint import load_checkpoint

    given: dict[str, Path] = {
        role: getattr(options, role) for role in ROLES if getattr(options, role) is not None
    }
    paths = {role: given.get(role, _EMBEDDED / f"{role}.safetensors") for role in ROLES}
    # An embedded malignancy network was never trained to follow somebody's own classifier.
    optional = "malignancy"
    if optional not in given and (given or not paths[optional].exists()):
        del paths[optional]
    for role, path in paths.items():
        if role not in given and not path.exists():
            raise BundleError(f"this installation has no embedded {role} weights: give --{role}")
    return {role: load_checkpoint(path, role) for role, path in paths.items()}


def _print_json(report: dict[str, Any], checks: list[Check]) -> None:
    passed = report["bundle"] is not None
    data = {**report, "passed": passed, "checks": [check.to_json() for check in checks]}
    say(json.dumps(data, indent=2, sort_keys=True, allow_nan=False))


if __name__ == "__main__":
    sys.exit(main())
