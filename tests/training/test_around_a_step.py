"""Savings in Lightning's overhead of a step, and callbacks that work as before."""

import csv
from typing import ClassVar

import pytest
import pytorch_lightning as pl

from spinpot.training.run import train
from spinpot.training.trainer import leave_out_empty_hooks
from support.configs import composed
from support.folders import labelled_by_a_potential, write_npy


class Watcher(pl.Callback):
    """Logs by Lightning's own means, and notes what it finds after each step."""

    seen: ClassVar[list] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        pl_module.log("grad_norm/mine", 7.0)

    def on_train_batch_end(self, trainer, pl_module, *args):
        found = {**trainer.callback_metrics}
        bar = {name: value for name, value in trainer.progress_bar_metrics.items() if "train/" in name}
        kept = [name for name in trainer._results if "train/" in name]
        self.seen.append((trainer.global_step, found, bar, kept, self.on_before_backward))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    made = [
        f"data.{name}=[{write_npy(folder / name, labelled_by_a_potential(seed, 4))}]"
        for seed, name in enumerate(("train", "validation"))
    ]
    Watcher.seen.clear()
    settings = ["data=npy", *made, "debug=fast", "report=false", "trainer.enable_progress_bar=false"]
    settings += ["trainer.max_steps=5", "trainer.log_every_n_steps=2", "trainer.accumulate_grad_batches=2"]
    train(composed(*settings, f"+callbacks.mine._target_={__name__}.Watcher"), folder / "run")
    with (folder / "run" / "metrics.csv").open() as file:
        return {int(row["step"]): row for row in csv.DictReader(file)}


def test_what_a_callback_logs_is_in_the_rows_of_logged_steps(run):
    assert {step: row["grad_norm/mine"] for step, row in run.items()} == {2: "7.0", 4: "7.0", 5: ""}


def test_callbacks_and_the_bar_see_what_was_logged_last(run):
    for step, found, bar, kept, _ in Watcher.seen:
        assert kept == [], "Lightning does not go over them in later steps"
        if step < 2:
            assert "train/loss" not in found
            continue
        logged = {name: float(value) for name, value in run[step // 2 * 2].items() if value}
        for name in ("train/loss", "train/rmse_e", "lr", "pref_e"):
            assert float(found[name]) == logged[name]
        assert bar == {name: logged[name] for name in ("train/rmse_e", "train/rmse_fr", "train/rmse_fm")}


def test_hooks_that_do_nothing_are_left_out(run):
    assert all(hook is None for *_, hook in Watcher.seen)
    assert {step for step, *_ in Watcher.seen} == {0, 1, 2, 3, 4, 5}, "those that do something are called"


@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_clipped_only_where_that_is_asked_for(clip):
    module = pl.LightningModule()
    leave_out_empty_hooks(pl.Trainer(gradient_clip_val=clip, logger=False, accelerator="cpu"), module)
    assert (module.configure_gradient_clipping is None) == (clip is None)
    assert module.on_after_backward is None
    assert module.training_step is not None
