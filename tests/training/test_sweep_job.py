"""A job of a sweep, compared with the run in its folder."""

import pytest

from spinpot.config.rerun import runnable
from spinpot.core.errors import InputError
from spinpot.training.sweep import check_same_job
from support.configs import composed


def test_a_folder_that_holds_another_job(tmp_path):
    (tmp_path / "config.yaml").write_text(runnable(composed()))
    check_same_job(composed("trainer.max_steps=7"), tmp_path)
    with pytest.raises(InputError) as caught:
        check_same_job(composed("scheduler.warmup_steps=5"), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds a run with other settings (scheduler.warmup_steps: 0 there, 5 now). To resume a "
        "sweep, give the same settings in the same order; for a new sweep, choose another folder with "
        "hydra.sweep.dir=DIR. The run was not changed."
    )
