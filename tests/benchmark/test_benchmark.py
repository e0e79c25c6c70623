"""The benchmark's arithmetic, and the real command. No time is asserted."""

import json

import pytest

from spinpot.benchmark.measure import Measured
from support.cli import run_script


def test_shares():
    measured = Measured(
        steps=[1.0, 1.0, 9.0], logged_steps=[3.0], bare_steps=[0.8, 0.8, 0.1], log_interval=50, peak_memory=1
    )
    assert measured.seconds_per_step == 1.0
    assert measured.overhead == pytest.approx(0.2)
    assert measured.logging == pytest.approx(2.0 / 50)


@pytest.mark.slow
def test_the_command(tmp_path):
    result = run_script("benchmark.py", "NiO", "--steps", "100", "--output", "found.json", cwd=tmp_path)
    assert "ms per step" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    case = found["cases"]["NiO"]
    assert case["steps"] == 100
    assert case["seconds_per_step"] > 0
    assert case["overhead"] < 1
    assert case["peak_memory"] > 1e8
    assert found["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["Ni"], "there is no case Ni; choose from NiO"), (["--steps", "3"], "expected at least 100")],
)
def test_wrong_arguments(arguments, message, tmp_path):
    result = run_script("benchmark.py", *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert not list(tmp_path.iterdir())
