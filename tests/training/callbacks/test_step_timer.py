"""Seconds and frames per step over all processes."""

from types import SimpleNamespace

import pytest
import torch

from spinpot.data.sampling import ShuffledBatches
from spinpot.training.callbacks.step_timer import StepTimer


class Written:
    """A logger that keeps the last numbers."""

    def log_metrics(self, values, step):
        self.values = values


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "world_size", "accumulated", "frames"),
    [(4, 1, 1, 4), (4, 2, 1, 8), (4, 2, 3, 24), (8, 3, 1, 11)],
    ids=["one", "two", "accumulated", "more than there are"],
)
def test_frames_per_second(numbered, batch_size, world_size, accumulated, frames):
    """The frames of a step are those of all processes, each once: never more than the set has."""
    batches = ShuffledBatches(11, batch_size, 0, 0, total=9, world_size=world_size, numbered=numbered)
    written = Written()
    trainer = SimpleNamespace(
        global_step=0,
        log_every_n_steps=1,
        accumulate_grad_batches=accumulated,
        world_size=world_size,
        train_dataloader=SimpleNamespace(batch_sampler=batches),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        loggers=[written],
    )
    timer = StepTimer()
    timer.on_train_start(trainer, None)
    for step in (1, 2):
        trainer.global_step = step
        timer.on_train_batch_end(trainer)
    speed = written.values
    per_step = speed["throughput/frames_per_second"] * speed["throughput/seconds_per_step"]
    assert per_step == pytest.approx(frames)
