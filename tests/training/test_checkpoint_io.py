"""Checkpoints are written beside their place, not through the folder of temporary files."""

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
