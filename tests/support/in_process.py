"""The real scripts in the process of the test, from command line to exit code, without start-up time."""

import contextlib
import io
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from unittest import mock

from hydra.core.global_hydra import GlobalHydra

from support.cli import PROJECT


def run_here(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """`python scripts/NAME arguments`, with what it prints and its exit code; a traceback goes to stderr."""
    script = PROJECT / "scripts" / name
    out, err = io.StringIO(), io.StringIO()
    code = 0
    GlobalHydra.instance().clear()
    with (
        mock.patch.object(sys, "argv", [str(script), *arguments]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except Exception:
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def the_message(result: subprocess.CompletedProcess) -> str:
    """What a user reads of a run that was refused: one message, no traceback, a non-zero exit code."""
    assert result.returncode == 1, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    said = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(said) == 1, result.stderr
    assert said[0].startswith("Error: ")
    return said[0].removeprefix("Error: ")
