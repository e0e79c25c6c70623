"""A training step needs no data from the host up to its gradients, so a GPU can replay it."""

from pathlib import Path

from support.cli import run_python
from support.pretended_device import CASES

TESTS = Path(__file__).parents[1]


def told(code):
    """Lines of a program with a process of its own, for the whole of which the pretended device stays."""
    ended = run_python(["-c", code], cwd=TESTS)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_whole_steps():
    lines = told("from support.pretended_device import try_all; try_all()")
    assert len(lines) == len(CASES)
    assert all(line.endswith(": ok") for line in lines), "\n".join(lines)


def test_who_asks_is_found_out():
    """radial=direct counts its pairs on the host."""
    code = (
        "from support.pretended_device import *; pretend(); "
        "model = {'radial': 'direct'}\n"
        "try: step_on_the_pretended_device(model, {})\n"
        "except Exception as error: print(type(error).__name__)"
    )
    assert told(code)[-1] in ("DynamicOutputShapeException", "DataDependentOutputException")
