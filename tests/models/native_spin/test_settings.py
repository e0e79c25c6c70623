"""Invalid settings of the native-spin model cause an error with a clear message."""

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data.dataset import Neighbours
from spinpot.models.native_spin.settings import CHANNELS, NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSpec
from support.configs import composed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoff": 0.5}, "cutoff=0.5: expected a length above 1 Å"),
        ({"n_radial": 1}, "n_radial=1: expected at least 2"),
        ({"closest": 5.5}, "closest=5.5: expected a length, at least 0.5 Å below the cutoff; or auto"),
        ({"groups": ("exchange", "exchange")}, "each once"),
        ({"groups": ("heisenberg",)}, "expected some of density, angle"),
        ({"groups": ("exchange", "densty")}, "each once. Did you mean density?"),
        ({"groups": ()}, "expected some of density, angle"),
        ({"groups": ("length",)}, "at least one with sums over neighbours"),
        ({"channels": {"moment": 0}}, "whole numbers of at least 1 for some of density"),
        ({"channels": {"moment": "many"}}, "whole numbers of at least 1 for some of density"),
        ({"channels": {"moment": 2.5}}, "whole numbers of at least 1 for some of density"),
        ({"channels": {"moment": True}}, "whole numbers of at least 1 for some of density"),
        ({"channels": {"momentum": 3}}, "whole numbers of at least 1 for some of density"),
        (
            {"channels": {"shape": 3}},
            "channels: no group of model.descriptor.groups needs sums of the kind shape. Remove this setting",
        ),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        SumsSettings(**settings).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neuron": (8, 0)}, r"model.fitting_net.neuron=\[8, 0\]: expected whole numbers of at least 1"),
        ({"neuron": ("a",)}, "expected whole numbers of at least 1"),
        ({"neuron": (2.5,)}, "expected whole numbers of at least 1"),
        ({"activation_function": "tanhh"}, "activation_function='tanhh' is unknown; choose from tanh"),
    ],
    ids=str,
)
def test_nets_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        NetSettings(**settings).check()


def test_settings_that_make_sense():
    SumsSettings().check()
    SumsSettings(closest=5.1).check()
    SumsSettings(channels={"density": 3}).check()
    NetSettings().check()
    NetSettings(()).check()


def test_channels_are_chosen_by_kind_on_the_command_line():
    usual = composed("model=native_spin")
    assert usual.model.descriptor.channels is None
    chosen = composed("model=native_spin", "model.descriptor.channels={moment: 3}")
    numbers = SumsSettings(channels=dict(chosen.model.descriptor.channels)).numbers()
    assert numbers["moment"] == 3
    assert numbers["density"] == SumsSettings().numbers()["density"] == CHANNELS["density"]
    assert "shape" not in numbers


@pytest.mark.parametrize(
    ("cutoff", "distance", "centre"),
    [(5.6, 2.1, 1.68), (5.6, np.inf, 1.6), (2.2, 2.19, 1.7), (1.6, np.inf, 1.1)],
)
def test_the_first_radial_function_is_well_within_the_cutoff(cutoff, distance, centre):
    spec = NativeSpinSpec(
        type_map=("Ni",),
        use_spin=(True,),
        descriptor=SumsSettings(cutoff=cutoff),
        fitting_net=NetSettings(),
    )
    training = Neighbours(np.zeros((1, 2)), np.array([distance]), 0, [("made", 0)])
    settled = spec.settled(training, None)
    assert settled.descriptor.closest == pytest.approx(centre)
    settled.descriptor.check()
