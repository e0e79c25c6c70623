"""Settings of the native-spin model that make no sense are refused in words."""

import pytest

from spinpot.core.errors import InputError
from spinpot.models.native_spin.settings import SumsSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoff": 0.5}, "cutoff=0.5: expected a length above 1 Å"),
        ({"n_radial": 1}, "n_radial=1: expected at least 2"),
        ({"closest": 5.5}, "closest=5.5: expected a length, at least 0.5 Å below the cutoff; or auto"),
        ({"groups": ("exchange", "exchange")}, "each once"),
        ({"groups": ("heisenberg",)}, "expected some of density, angle"),
        ({"groups": ("length",)}, "also one that has sums over neighbours"),
        ({"channels": {"moment": 0}}, "at least 1 for some of density"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        SumsSettings(**settings).check()
