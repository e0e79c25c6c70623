"""spinpot audit as a command in its own process."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.systems import select
from support.cli import run_script
from support.folders import write_npy
from support.in_process import run_here, the_message
from support.nickel_oxide import primitive_nio


@pytest.mark.slow
def test_a_folder_is_audited(tmp_path):
    write_npy(tmp_path / "frames", select(primitive_nio(), np.arange(20)))
    result = run_script("audit.py", "systems=frames", "output=audited", cwd=tmp_path)
    assert "ok: " in result.stdout
    assert "frames" in json.loads((tmp_path / "audited" / "audit.json").read_text())["systems"]
    assert (tmp_path / "audited" / "report.html").exists()


def test_a_wrong_label_has_an_exit_code_and_its_page(tmp_path):
    """So that a script stops before it trains on them."""
    frames = select(primitive_nio(), np.arange(20))
    write_npy(tmp_path / "wrong", replace(frames, force=-frames.force))
    result = run_here("audit.py", "systems=wrong", "output=audited", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout.splitlines()[-1] == "Wrong: 1 (exit code 2)."
    assert (tmp_path / "audited" / "report.html").exists()
    told = run_here("audit.py", "--help", cwd=tmp_path).stdout
    assert "exit code is 2" in told
    assert re.search("output=null .*audit.json", told)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "systems has no value"),
        (["systems=nowhere"], "nowhere"),
        (["my_frames"], "If it is a path, write systems=my_frames."),
        (["systems=a", "outptu=b"], "outptu"),
    ],
)
def test_what_cannot_be_audited_is_said(arguments, message, tmp_path):
    assert message in the_message(run_here("audit.py", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())
