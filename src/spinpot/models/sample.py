"""A small potential with random weights, for tests and trials."""

from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential


def sample_potential(system: System, use_spin: tuple[bool, ...], seed: int = 0) -> Potential:
    """A potential for the elements of a system, with its frames' statistics; use_spin: one per element."""
    spec = DeepSpinSpec(
        type_map=system.type_map,
        use_spin=use_spin,
        descriptor=DescriptorSettings(rcut=4.0, neuron=(4, 8), axis_neuron=4),
        fitting_net=FittingSettings(neuron=(8, 8)),
        virtual_scale=tuple(0.3 if magnetic else 0.0 for magnetic in use_spin),
    )
    frames = FrameDataset([system], spec.geometry)
    potential = build_potential(spec.settled(frames.neighbours, None), seed)
    potential.set_statistics(frames.batches(), [system])
    return potential
