"""Memory is linear in the number of atoms, measured with the real command."""

import json
import sys

import pytest

from spinpot.benchmark.cases import write_supercell
from support.cli import TRAIN, run_python
from support.folders import labelled_by_a_potential, write_npy


def peak_memory(system, folder):
    """Of a training run on a system, bytes."""
    settings = [
        *("experiment=nio_deltaspin", "data=npy", f"data.train=[{system}]", f"data.validation=[{system}]"),
        *("data.batch_size=1", "data.validation_batch_size=1", "model.descriptor.sel=auto"),
        *("trainer.max_steps=3", "trainer.val_check_interval=3", "report=false", f"hydra.run.dir={folder}"),
    ]
    told = (
        "import json, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], capture_output=True).returncode\n"
        "print(json.dumps([code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))"
    )
    result = run_python(["-c", told, sys.executable, TRAIN, *settings])
    code, peak = json.loads(result.stdout)
    assert code == 0
    return peak


@pytest.mark.slow
def test_a_frame_of_2048_atoms_trains_within_8_gb(tmp_path):
    cell = write_npy(tmp_path / "cell", labelled_by_a_potential(1, 2, n_ni=2, n_o=2))
    peaks = {}
    for repeats in (4, 8):
        system = tmp_path / f"super{repeats}"
        write_supercell(cell, system, repeats)
        peaks[repeats] = peak_memory(system, tmp_path / f"run{repeats}")
    assert peaks[8] < 8e9
    assert peaks[8] - peaks[4] < 1.5 * 8e9 * (2048 - 256) / 2048
