"""Whether an ONNX graph calls its inputs and outputs as the manifest does.

Our engines take them by position; other programs that read the artifact take them by name.
"""

from __future__ import annotations

from lunart.bundle import Bundle, Model
from lunart.export.compare import Check, Subject, failed


def compare_names(bundle: Bundle, model: Model, artifact: str) -> Check:
    """One check over all inputs and outputs of the graph."""
    import onnx

    subject = Subject(model.name, artifact, "names")
    path = bundle.file(model.artifact(artifact).entry)
    graph = onnx.load(str(path), load_external_data=False).graph
    found = [value.name for value in (*graph.input, *graph.output)]
    expected = [spec.name for spec in (*model.signature.inputs, *model.signature.outputs)]
    if found == expected:
        return Check(subject, "signature", True, ", ".join(found))
    return failed(subject, "signature", f"are {found}, the manifest says {expected}")
