"""The symbolic axes of a signature, as ``torch.export`` wants them."""

from __future__ import annotations

from torch.export import Dim

from lunart.bundle import Signature


def free_axes(signature: Signature) -> dict[int, Dim]:
    """By axis of the input, its range."""
    axes: dict[int, Dim] = {}
    for axis, name in enumerate(signature.inputs[0].shape):
        if name == "batch":
            axes[axis] = Dim("batch", min=signature.batch[0], max=signature.batch[1])
        elif isinstance(name, str):
            # torch.export refuses a plain Dim whose sizes must be multiples.
            step = Dim(f"{name}_steps", min=1)
            axes[axis] = signature.multiple_of * step if signature.multiple_of > 1 else step
    return axes
