"""Checkpoints are written next to their final place, not in the temporary folder."""

from unittest import mock

import pytest
import torch

from spinpot.training.checkpoint_io import WholeCheckpoints


def test_no_temporary_folder_is_needed(tmp_path):
    target = tmp_path / "checkpoints" / "last.ckpt"
    with mock.patch("tempfile.mkstemp", side_effect=OSError(28, "No space left on device")):
        WholeCheckpoints().save_checkpoint({"step": torch.tensor(3)}, str(target))
    assert torch.load(target, weights_only=True) == {"step": torch.tensor(3)}
    assert [file.name for file in target.parent.iterdir()] == ["last.ckpt"]


def test_one_that_fails_leaves_the_one_of_before(tmp_path):
    target = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"step": 1}, target)
    with (
        mock.patch("pathlib.Path.replace", side_effect=OSError(28, "No space left on device")),
        pytest.raises(OSError, match="No space"),
    ):
        WholeCheckpoints().save_checkpoint({"step": 2}, target)
    assert torch.load(target, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_what_a_resumed_run_takes_for_written_is_on_the_disk_before(tmp_path, monkeypatch):
    log, done = tmp_path / "metrics.csv", []
    monkeypatch.setattr("spinpot.training.checkpoint_io.sync", lambda file: done.append(file.name))
    monkeypatch.setattr(
        "spinpot.training.checkpoint_io.write_atomically", lambda file, _: done.append(file.name)
    )
    WholeCheckpoints(before=[log]).save_checkpoint({}, tmp_path / "best.ckpt")
    log.write_text("step\n")
    WholeCheckpoints(before=[log]).save_checkpoint({}, tmp_path / "last.ckpt")
    assert done == ["best.ckpt", "metrics.csv", "last.ckpt"]
