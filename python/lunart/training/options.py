"""The options of ``luna-train``: what is common to the four networks, and what is not."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError, BooleanOptionalAction
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lunart.cli import Parser

PROG = "luna-train"
_DESCRIPTION = """\
Train a network of a bundle; the same command goes on where it was stopped.

  luna-train seg --phantoms 16 --epochs 1        generated scans: no data needed
  luna-train seg LUNA16                          a folder in LUNA16's layout
  luna-train cls LUNA16
  luna-train mal LUNA16 --finetune runs/cls/weights.safetensors --depth 2
  luna-train cifar CIFAR --network resdeep --classes airplane,bird

In the output folder: weights.safetensors (the best epoch's, for luna-export), last.ckpt,
metrics.jsonl, tensorboard/.
"""
_HELP = {
    "seg": "the segmentation network (U-Net)",
    "cls": "the nodule classifier",
    "mal": "the malignancy classifier",
    "cifar": "an image classifier",
}
# Where a kind of network wants something else than the rest.
_COMMON: Mapping[str, Any] = {
    "epochs": 20, "batch": 32, "optimiser": "adamw", "rate": 2e-3, "weight_decay": 1e-2
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "seg": _COMMON,
    "cls": {**_COMMON, "label_smoothing": 0.02, "dropout": 0.25},
    "mal": {
        **_COMMON,
        "rate": 1e-3,
        "warmup": 10,
        "label_smoothing": 0.02,
        "dropout": 0.25,
    },
    "cifar": {
        "epochs": 30,
        "batch": 64,
        "optimiser": "adamw",
        "rate": 3e-3,
        "weight_decay": 5e-2,
        "label_smoothing": 0.02,
    },
}


def parser() -> Parser:
    """The program's parser; ``kind`` is the network that was chosen."""
    whole = Parser(PROG, _DESCRIPTION)
    commands = whole.add_subparsers(metavar="NETWORK", required=True, dest="kind")
    for kind, words in _HELP.items():
        one = commands.add_parser(kind, help=words, description=f"Train {words}.")
        _add_data(one, kind)
        _add_network(one, kind)
        _add_training(one)
        _add_output(one, kind)
        one.set_defaults(**_DEFAULTS[kind])
    return whole


def _add_data(parser: Parser, kind: str) -> None:
    group = parser.add_argument_group("what to train on")
    if kind == "cifar":
        group.add_argument("root", metavar="DIR", type=Path, help="CIFAR-10: folder or archive")
        group.add_argument(
            "--classes", metavar="A,B,...", help="only these, in this order (default: all ten)"
        )
        modes: tuple[str, ...] = ("unbalanced", "overfit")
    else:
        group.add_argument(
            "root", metavar="DIR", type=Path, nargs="?", help="folder in LUNA16's layout"
        )
        group.add_argument(
            "--split", metavar="FILE", type=Path,
            help="from luna-data split (default: DIR/split.json, made once)",
        )  # fmt: skip
        group.add_argument(
            "--phantoms", metavar="N", type=_count, nargs="?", const=16,
            help="generate N scans instead, into the output folder (%(const)s)",
        )  # fmt: skip
        group.add_argument(
            "--blend", metavar="DIR", type=Path, help="real nodules blended into real lungs instead"
        )
        if kind == "cls":
            group.add_argument(
                "--segmentation", metavar="FILE", type=Path,
                help="for --blend: weights whose proposals are told from nodules",
            )  # fmt: skip
            group.add_argument(
                "--folds", metavar="DIR", type=Path,
                help="for --blend: networks of `blend.study segmentation`, for the parts of the "
                "data that each never saw",
            )  # fmt: skip
        if kind == "seg":
            group.add_argument(
                "--masks", choices=("best", "annotations", "votes", "contours"), default="best",
                help="of a LUNA16 folder, as luna-data prepare takes it (default: %(default)s)",
            )  # fmt: skip
        modes = ("balanced", "unbalanced", "overfit")
    group.add_argument(
        "--mode", choices=modes, default=modes[0],
        help="balanced: positives and negatives in turn; overfit: learn one batch by heart "
        "(default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--samples", metavar="N", type=_count, help="size of an epoch (default: the data's)"
    )
    group.add_argument("--cache", metavar="DIR", type=Path, help="default: the user's cache folder")
    group.add_argument(
        "--augment",
        action=BooleanOptionalAction,
        default=True,
        help="change samples (default: yes)",
    )
    if kind != "cifar":
        group.add_argument("--flip", action=BooleanOptionalAction, help="mirror them or not")
        for name, field, words in (
            ("shift", "shift", "share of the side"), ("scale", "scale", "share of the size"),
            ("turn", "turn_degrees", "degrees"), ("noise", "noise_hu", "HU"),
        ):  # fmt: skip
            group.add_argument(
                f"--{name}", dest=field, metavar="X", type=_number,
                help=f"at most, {words} (default: what suits the data)",
            )  # fmt: skip


def _add_network(parser: Parser, kind: str) -> None:
    group = parser.add_argument_group("network and loss")
    if kind == "seg":
        group.add_argument(
            "--wf", type=_count, default=4, metavar="N",
            help="2^N channels at full size (default: %(default)s)",
        )  # fmt: skip
        group.add_argument(
            "--loss", choices=("mixed", "dice"), default="mixed",
            help="mixed: cross entropy and Dice; dice: the book's, with its recall term "
            "(default: %(default)s)",
        )  # fmt: skip
        group.add_argument(
            "--erosion", type=_whole, default=0, metavar="N",
            help="recorded for the pipeline (default: %(default)s)",
        )  # fmt: skip
        group.add_argument(
            "--min-volume", type=_number, default=10.0, metavar="MM3",
            help="smallest component, recorded for the pipeline (default: %(default)s)",
        )  # fmt: skip
    elif kind == "cifar":
        group.add_argument(
            "--network", default="resdeep", metavar="NAME",
            help="linear, conv, wide, l2, dropout, batchnorm, res, resdeep (default: %(default)s)",
        )  # fmt: skip
        group.add_argument(
            "--set", metavar="NAME=N", type=_set, action="append", default=[],
            help="an argument of the network: hidden (linear), channels (the others), n_blocks "
            "(resdeep); default: the book's",
        )  # fmt: skip
    else:
        group.add_argument(
            "--network", default="luna-classifier", metavar="NAME",
            help="luna-classifier, the book's, or strided-classifier, which is faster "
            "(default: %(default)s)",
        )  # fmt: skip
        group.add_argument(
            "--channels", type=_count, metavar="N",
            help="of the first convolution (default: 8; of the strided classifier 16)",
        )  # fmt: skip
        group.add_argument(
            "--mirrors", type=_count, metavar="N",
            help="the strided classifier ships as the mean over mirror images along the first N "
            "of the three axes, 2^N passes (default: none)",
        )  # fmt: skip
        group.add_argument("--dropout", type=_share, metavar="P", help="default: %(default)s")
    if kind == "mal":
        group.add_argument(
            "--finetune", metavar="FILE", type=Path,
            help="a trained nodule classifier to start from (default: from nothing)",
        )  # fmt: skip
        group.add_argument(
            "--depth", type=int, choices=(1, 2), default=1,
            help="what of it is new: 1 the last layer, 2 the last block too; the rest is frozen "
            "(default: %(default)s)",
        )  # fmt: skip
    if kind != "seg":
        group.add_argument(
            "--label-smoothing", type=_share, default=0.0, metavar="X", help="default: %(default)s"
        )
    if kind != "cifar":
        own = "where Dice of the validation is highest" if kind == "seg" else "%(default)s"
        group.add_argument(
            "--threshold", type=_share, default=None if kind == "seg" else 0.5, metavar="P",
            help=f"recorded for the pipeline (default: {own})",
        )  # fmt: skip


def _add_training(parser: Parser) -> None:
    group = parser.add_argument_group("training")
    for name, kind, words in (
        ("epochs", _whole, "how many"), ("batch", _count, "samples a step and device"),
        ("rate", _number, "peak learning rate"), ("weight-decay", _number, "L2"),
    ):  # fmt: skip
        group.add_argument(
            f"--{name}", type=kind, metavar="N", help=f"{words} (default: %(default)s)"
        )
    group.add_argument("--optimiser", choices=("adamw", "adam", "sgd"), help="default: %(default)s")
    group.add_argument("--momentum", type=_share, default=0.9, metavar="X", help="of sgd (0.9)")
    group.add_argument("--l1", type=_number, default=0.0, metavar="X", help="default: none")
    group.add_argument(
        "--schedule", choices=("cosine", "constant"), default="cosine", help="of the rate (cosine)"
    )
    group.add_argument("--warmup", type=_whole, default=100, metavar="N", help="steps (100)")
    group.add_argument(
        "--precision", choices=("f32", "bf16"), default="f32", help="of the network (f32)"
    )
    group.add_argument(
        "--patience", type=_whole, default=0, metavar="N",
        help="stop after N epochs without a better validation (default: never)",
    )  # fmt: skip
    group.add_argument("--seed", type=_whole, default=1, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--workers", type=_whole, default=0, metavar="N",
        help="processes that load samples; they change no result (default: none)",
    )  # fmt: skip
    group.add_argument("--devices", type=_count, default=1, metavar="N", help="DDP (default: 1)")
    group.add_argument("--nodes", type=_count, default=1, metavar="N", help="machines (default: 1)")


def _add_output(parser: Parser, kind: str) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("runs", kind),
        help="the run's own folder (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--restart", action="store_true", help="forget the run in the folder and begin anew"
    )
    group.add_argument("--json", action="store_true", help="the result as JSON, lines on stderr")


def _count(text: str) -> int:
    return _integer(text, 1)


def _whole(text: str) -> int:
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ArgumentTypeError(f"{text!r}: expected a number from {least} on")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r}: expected a number of 0 or more")
    return value


def _set(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if not name or not value.isdecimal():
        raise ArgumentTypeError(f"{text!r}: expected NAME=N, such as channels=32")
    return name, int(value)


def _share(text: str) -> float:
    value = _number(text)
    if value > 1:
        raise ArgumentTypeError(f"{text!r}: expected 0 to 1")
    return value
