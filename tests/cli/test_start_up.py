"""Commands that do not train import neither Lightning nor torchmetrics nor matplotlib, which take seconds."""

import subprocess
import sys

from support.checkpoints import write_checkpoint
from support.folders import labelled_by_a_potential, write_npy
from support.frames import small_potential

COMMANDS = (
    "evaluate checkpoint=nothing systems=nothing output=out",
    "evaluate checkpoint=[a,b] systems=nothing output=out",
    "audit systems=nothing",
    "analyze checkpoint=nothing structure=nothing task=exchange output=out",
    "convert nothing.ckpt out.dp",
    "prepare nothing out",
    "report nothing",
    "sweep-table nothing",
    "time-to-error nothing",
    "wandb-dashboard --help",
    "benchmark --steps 1",
    "train --help",
    "train --cfg job",
)
CODE = """
import sys
from hydra.core.global_hydra import GlobalHydra
import spinpot, spinpot.cli
from spinpot.ase import SpinCalculator
checkpoint, frames, *commands = sys.argv[1:]
predictor = spinpot.load(checkpoint)
predictor(frames)
SpinCalculator(predictor)
for command in ["from Python", *commands]:
    if command in commands:
        sys.argv = ["spinpot", *command.split()]
        GlobalHydra.instance().clear()
        try:
            spinpot.cli.main()
        except SystemExit:
            pass
    slow = {"pytorch_lightning", "lightning_fabric", "torchmetrics", "matplotlib"} & sys.modules.keys()
    if slow:
        sys.exit(f"{command} imports {slow}")
"""


def test_only_training_and_drawing_import_what_they_need(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "best.ckpt", small_potential())
    frames = write_npy(tmp_path / "frames", labelled_by_a_potential(1, 2))
    command = [sys.executable, "-c", CODE, checkpoint, frames, *COMMANDS]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
