"""spinpot audit as a command in its own process."""

import json

import pytest

from support.cli import run_script
from support.folders import labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message


@pytest.mark.slow
def test_a_folder_is_audited(tmp_path):
    write_npy(tmp_path / "frames", labelled_by_a_potential(1, 12))
    result = run_script("audit.py", "systems=frames", "output=audited", cwd=tmp_path)
    assert "ok: " in result.stdout
    assert "frames" in json.loads((tmp_path / "audited" / "audit.json").read_text())["systems"]
    assert (tmp_path / "audited" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "systems has no value"),
        (["systems=nowhere"], "nowhere"),
        (["systems=a", "outptu=b"], "outptu"),
    ],
)
def test_what_cannot_be_audited_is_said(arguments, message, tmp_path):
    assert message in the_message(run_here("audit.py", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())
