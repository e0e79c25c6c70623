"""Runs with whole steps, launched one by one on a CPU, equal usual runs."""

import json
import re
from contextlib import nullcontext
from unittest import mock

import pytest
import torch

from spinpot import kernels
from spinpot.data import nio_frames
from spinpot.data.nio_frames import FRAMES
from spinpot.training.callbacks import cuda_graphs
from spinpot.training.cuda_graph import AHEAD
from support.in_process import run_here

NATIVE = "model=native_spin"
COMMON = (
    *("debug=fast", "report=false", "trainer.accelerator=cpu"),
    *("trainer.val_check_interval=10", "trainer.log_every_n_steps=5"),
)


class Launched:
    """RecordedSteps without a record."""

    def __init__(self, step):
        self.step, self.objective = step, step.whole.objective
        self._failed, self.number = None, 0

    def __call__(self, given, lr_ratio, number):
        settings = torch.tensor(self.step.settings(lr_ratio), dtype=torch.float64)
        done = self.step(*self.step.frames.load(given), settings)
        if not done.finite and self._failed is None:
            self._failed = number, self.step.frames.origins(given)
        self.number = number
        return done

    def failure(self, wait=False):
        """Known as late as on a GPU."""
        late = self._failed is not None and (wait or self.number >= self._failed[0] + AHEAD)
        return self._failed if late else None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Where a small built-in set is made once: as many shapes, fewer frames."""
    fewer = {split: {shape: n // 8 for shape, n in shapes.items()} for split, shapes in FRAMES.items()}
    with mock.patch.object(nio_frames, "FRAMES", fewer):
        yield f"paths.data_dir={tmp_path_factory.mktemp('data')}"


@pytest.fixture
def whole(monkeypatch):
    """Lets the runs to come have whole steps; streamed: their frames do not fit on the device."""

    def start(streamed=False):
        monkeypatch.setattr(cuda_graphs, "_fits", lambda *_: not streamed)
        monkeypatch.setattr(cuda_graphs, "RecordedSteps", Launched)
        monkeypatch.setattr(
            cuda_graphs.CudaGraphs, "decide", lambda graphs, *_: setattr(graphs, "outcome", cuda_graphs.USED)
        )

    return start


def trained(folder, *settings):
    # As on a GPU, by torch: of native spins the compiled evaluation counts every pair, and takes no padding.
    with kernels.without() if NATIVE in settings else nullcontext():
        result = run_here("train.py", *COMMON, *settings, f"hydra.run.dir={folder}", cwd=folder.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((folder / "summary.json").read_text())
    return summary["val"], (folder / "metrics.csv").read_text().splitlines()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        ["optimizer=muon"],
        [
            *(NATIVE, "model.linear=free", "trainer.max_steps=12", "model/exchange=heisenberg"),
            *(
                "model.descriptor.groups=[density,exchange]",
                "model.descriptor.n_radial=4",
                "model.fit_frames=8",
            ),
        ],
        ["trainer.gradient_clip_val=0.01", "callbacks=[default,ema,early_stopping]", "optimizer=adamw"],
        ["loss.label_scale_fm=learned", "scheduler=cosine", "scheduler.warmup_steps=7"],
        [
            *("model/exchange=full", "model.spin.time_reversal=exact"),
            *("trainer.gradient_clip_val=0.001", "+trainer.gradient_clip_algorithm=value"),
        ],
    ],
)
def test_they_end_where_the_usual_ones_do(settings, streamed, whole, data, tmp_path):
    usual, rows = trained(tmp_path / "usual", data, "trainer.max_steps=30", *settings)
    whole(streamed)
    found, found_rows = trained(tmp_path / "whole", data, "trainer.max_steps=30", *settings)
    tolerance = 1e-4 if "optimizer=muon" in settings else 1e-6
    assert found == pytest.approx(usual, rel=tolerance, nan_ok=True)
    assert len(found_rows) == len(rows)
    numbers = [[float(value or "nan") for value in row.split(",")] for row in rows[1:]]
    timed = [column for column, name in enumerate(rows[0].split(",")) if name.startswith("throughput")]
    for row, expected in zip(found_rows[1:], numbers, strict=True):
        values = [float(value or "nan") for value in row.split(",")]
        for column, (value, other) in enumerate(zip(values, expected, strict=True)):
            if column not in timed:
                assert value == pytest.approx(other, rel=10 * tolerance, nan_ok=True), rows[0].split(",")[
                    column
                ]


def test_they_are_resumed(whole, data, tmp_path):
    """And go on from usual ones."""
    constant = "scheduler.stop_lr=${scheduler.start_lr}"
    usual, _ = trained(tmp_path / "usual", data, constant, "trainer.max_steps=30")
    trained(tmp_path / "parts", data, constant, "trainer.max_steps=10")
    whole()
    trained(tmp_path / "parts", data, constant, "trainer.max_steps=20", "resume=auto")
    found, _ = trained(tmp_path / "parts", data, constant, "trainer.max_steps=30", "resume=auto")
    assert found == pytest.approx(usual, rel=1e-6, nan_ok=True)


ON_THE_HOST = ["model.spin.spin_rotation=augment", "data.sample=20"]


@pytest.mark.parametrize(
    "settings", [[], ON_THE_HOST, [*ON_THE_HOST, "data.skip_broken=true", "data.num_workers=1"]]
)
def test_batches_of_frames_on_disk_and_of_rotated_spins(settings, whole, data, tmp_path):
    usual, _ = trained(tmp_path / "usual", data, "trainer.max_steps=20", *settings)
    whole()
    found, _ = trained(tmp_path / "whole", data, "trainer.max_steps=20", *settings)
    assert found == pytest.approx(usual, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_one_that_diverges_names_its_step(streamed, whole, data, tmp_path):
    whole(streamed)
    settings = (data, "trainer.max_steps=60", "scheduler.start_lr=1e250", "scheduler.stop_lr=1e249")
    result = run_here("train.py", *COMMON, *settings, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(
        r"Error: The gradient of the loss is not finite at step 2\. Frames .* frame \d", result.stderr
    )
    assert "Traceback" not in result.stderr
