"""Exit codes are one list: the core's, which ``--help`` prints and the classes of errors carry."""

from __future__ import annotations

import pytest
from lunart import _core, errors
from lunart.cli import EXIT_CODES, Parser, run

CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LunartError)
]
_INTERRUPTED = 130  # KeyboardInterrupt in Python


def test_classes_have_the_numbers_of_the_core():
    codes = sorted(kind.exit_code for kind in CLASSES)
    assert [*codes, _INTERRUPTED] == [code for code, _ in _core.exit_codes()]


def test_every_code_is_in_the_help():
    for code, sentence in _core.exit_codes():
        assert f"  {code} {sentence}" in EXIT_CODES.splitlines()
    assert Parser("luna-x", "What it does.").format_help().endswith(f"{EXIT_CODES}\n")


@pytest.mark.parametrize("kind", CLASSES)
def test_a_program_ends_with_the_code_of_its_error(kind, capsys):
    def body() -> None:
        raise kind("what and where")

    assert run("luna-x", body, extra="export") == kind.exit_code
    assert capsys.readouterr().err == "luna-x: error: what and where\n"


def test_an_interrupted_program_says_so(capsys):
    def body() -> None:
        raise KeyboardInterrupt

    assert run("luna-x", body, extra="export") == _INTERRUPTED
    assert capsys.readouterr().err == "luna-x: interrupted\n"
