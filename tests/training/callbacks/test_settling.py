"""Interpolation nodes during training: as many as the weights need, and the same after a stop."""

import json
import signal
from itertools import chain
from unittest import mock

import pytest
import torch

from spinpot.models.deepspin import collocation_check
from support.folders import write_small_set
from support.in_process import run_here

SETTLE = "spinpot.models.deepspin.potential.settle_nodes"
# Weights that grow rough in large steps, until their decay has made them smooth.
SETTINGS = [
    *("optimizer=adamw", "optimizer.weight_decay=1.0"),
    *("scheduler=cosine", "scheduler.start_lr=0.2", "scheduler.stop_lr=0.1", "scheduler.warmup_steps=22"),
    *("scheduler.warmup_start_factor=1.0", "trainer.max_steps=24", "trainer.val_check_interval=10"),
]
CHECKED = [0, 1, 2, 4, 8, 10, 16, 20, 24]


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(small_set, tmp_path_factory):
    """The folder of an uninterrupted run and its nodes after each check."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    numbers, result = run_recorded(small_set, folder)
    assert result.returncode == 0, result.stderr
    return folder, numbers


def run_recorded(small_set, folder, *more, at=None, happens=None):
    """A run's nodes after each of its checks, and its result; something may happen at one of the checks."""
    numbers = []

    def settle(*arguments, **options):
        errors = collocation_check.settle_nodes(*arguments, **options)
        numbers.append(errors.nodes)
        if happens and len(numbers) == at:
            happens()
        return errors

    with mock.patch(SETTLE, side_effect=settle):
        how = [*small_set, *SETTINGS, *more, f"hydra.run.dir={folder}"]
        return numbers, run_here("train.py", *how, cwd=folder.parent)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def total(numbers):
    return sum(map(sum, numbers))


def fail():
    raise RuntimeError("power cut")


def warn():
    signal.raise_signal(signal.SIGTERM)


def test_nodes_grow_and_shrink(whole):
    folder, numbers = whole
    assert len(numbers) == len(CHECKED)
    totals = list(map(total, numbers))
    assert totals[0] < max(totals) > totals[-1]
    assert last(folder)["spinpot"]["state"]["nodes"]["numbers"] == numbers[-1]
    found = json.loads((folder / "summary.json").read_text())["collocation"]
    assert found["energy"] <= 1e-8
    assert found["force"] <= 1e-7


@pytest.mark.parametrize(("happens", "step"), [(fail, 16), (warn, 16), (warn, 8)])
def test_a_resumed_run_has_the_nodes_of_an_uninterrupted_one(small_set, whole, tmp_path, happens, step):
    folder, at = tmp_path / "run", CHECKED.index(step) + 1
    before, result = run_recorded(small_set, folder, at=at, happens=happens)
    assert result.returncode != 0
    saved = last(folder)["global_step"]
    assert saved == (10 if happens is fail else step + 1)
    after, result = run_recorded(small_set, folder, "resume=auto")
    assert result.returncode == 0, result.stderr
    again = sum(checked > saved for checked in CHECKED)
    assert before == whole[1][:at]
    assert after == whole[1][-again:]
    for name, value in last(whole[0])["state_dict"].items():
        torch.testing.assert_close(last(folder)["state_dict"][name], value, rtol=0, atol=0)


def test_an_average_of_weights_keeps_the_nodes_of_the_rough_ones(small_set, tmp_path):
    numbers, result = run_recorded(small_set, tmp_path / "run", "callbacks=[default,ema]")
    assert result.returncode == 0, result.stderr
    pairs = list(zip(*(chain(*found) for found in numbers), strict=True))
    assert all(list(own) == sorted(own) for own in pairs)
    assert total(numbers[-1]) > total(numbers[0])


def test_a_run_that_evaluated_each_pair_goes_on_with_nodes_of_its_own(small_set, tmp_path):
    direct = ["model.descriptor.radial=direct", "trainer.max_steps=10", "scheduler.warmup_steps=0"]
    numbers, result = run_recorded(small_set, tmp_path / "run", *direct)
    assert result.returncode == 0, result.stderr
    assert numbers == []
    numbers, result = run_recorded(small_set, tmp_path / "run", "resume=auto")
    assert result.returncode == 0, result.stderr
    assert len(numbers) == 1 + sum(step > 10 for step in CHECKED)
