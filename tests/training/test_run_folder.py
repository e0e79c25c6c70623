"""The contents of a run folder at each moment."""

from unittest import mock

import pytest
from omegaconf import OmegaConf

from spinpot.training import run_folder
from spinpot.training.resume import Resumed


def test_a_run_killed_while_it_writes_its_new_config_keeps_the_old_one(tmp_path):
    run_folder.write_config(tmp_path, OmegaConf.create({"seed": 1}), None)
    before = (tmp_path / "config.yaml").read_text()
    (tmp_path / "summary.json").write_text("{}")
    again = tmp_path, OmegaConf.create({"seed": 2}), Resumed(tmp_path / "last.ckpt", 4, {}, {})
    write = run_folder.write_atomically

    def killed(path, text):
        if path.name == "config.yaml":
            raise KeyboardInterrupt
        write(path, text)

    with mock.patch.object(run_folder, "write_atomically", killed), pytest.raises(KeyboardInterrupt):
        run_folder.write_config(*again)
    assert (tmp_path / "config.yaml").read_text() == before
    assert (tmp_path / "config_until_step_4.yaml").read_text() == before
    assert not (tmp_path / "summary.json").exists()
    run_folder.write_config(*again)
    assert "seed: 2" in (tmp_path / "config.yaml").read_text()
