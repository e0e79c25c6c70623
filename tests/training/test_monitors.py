"""What would fail in the middle of a run."""

from types import SimpleNamespace

import pytest

from spinpot.errors import InputError
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.training.checks import check_monitors


def test_scaled_errors_can_be_waited_for_where_there_is_a_scale():
    callbacks = {"checkpoint": SimpleNamespace(monitor="val/rmse_fm_scaled")}
    check_monitors(callbacks, EnerSpinLoss(label_scale_fm=0.8))
    with pytest.raises(InputError, match=r"callbacks.checkpoint.monitor=val/rmse_fm_scaled"):
        check_monitors(callbacks, EnerSpinLoss())
