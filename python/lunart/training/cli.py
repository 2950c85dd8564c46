"""``luna-train``: one program for the four networks."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from lunart.cli import run, say
from lunart.training.options import PROG, parser

if TYPE_CHECKING:
    from lunart.training.jobs import Job
    from lunart.training.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``luna-train`` and return its exit code."""
    return run(PROG, lambda: _run(argv), extra="train")


def _run(argv: Sequence[str] | None) -> None:
    options = parser().parse_args(argv)
    settings = _settings(options)
    # PyTorch and Lightning are loaded from here on: --help does not wait for them.
    from lunart.training import jobs
    from lunart.training.fit import fit
    from lunart.training.processes import is_first

    def tell(line: str) -> None:
        if is_first():
            say(line, sys.stderr if options.json else None)

    makers: dict[str, Callable[[Namespace, Callable[[str], None]], Job]] = {
        "seg": jobs.segmentation,
        "cls": jobs.classification,
        "mal": jobs.malignancy,
        "cifar": jobs.cifar,
    }
    job = makers[options.kind](options, tell)
    outcome = fit(
        job.trainee,
        job.task,
        job.source,
        settings,
        options.output,
        pipeline=job.pipeline,
        about={"data": _data(options)},
        images=job.images,
        restart=options.restart,
        tell=tell,
    )
    if not is_first():
        return
    if options.json:
        result = {
            "weights": str(outcome.weights),
            "best": asdict(outcome.best),
            "epochs": [asdict(epoch) for epoch in outcome.epochs],
        }
        say(json.dumps(result))
    else:
        say(f"{outcome.weights}: epoch {outcome.best.number} of {len(outcome.epochs)}")


def _data(options: Namespace) -> str:
    if options.kind != "cifar" and options.phantoms is not None:
        return f"{options.phantoms} generated chest CTs (lunart.phantom), no patients"
    if options.kind != "cifar" and options.blend is not None:
        return f"{options.blend.name}: nodules blended into lungs"
    return str(options.root.name)


def _settings(options: Namespace) -> Settings:
    from lunart.training.optimiser import Optimiser
    from lunart.training.settings import Settings

    return Settings(
        epochs=options.epochs,
        batch=options.batch,
        optimiser=Optimiser(
            name=options.optimiser,
            rate=options.rate,
            weight_decay=options.weight_decay,
            momentum=options.momentum,
            l1=options.l1,
            schedule=options.schedule,
            warmup_steps=options.warmup,
        ),
        precision=options.precision,
        patience=options.patience,
        seed=options.seed,
        workers=options.workers,
        devices=options.devices,
        nodes=options.nodes,
    )


if __name__ == "__main__":
    sys.exit(main())
