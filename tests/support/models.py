"""Small instances of all built-in models, by their names in checkpoints."""

from spinpot.models.native_spin.groups import GROUPS
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.potential import Potential
from support.frames import small_potential
from support.native_spin import small_native

MAKERS = {"deepspin": small_potential, "native_spin": small_native}
NATIVE = {"kind": "native_spin"}
SPIN_ORBIT = NATIVE | {"groups": "all"}


def any_potential(kind: str = "deepspin", cutoff: float | None = None, **settings: object) -> Potential:
    """A small potential of a kind. cutoff: Å; settings: of its maker."""
    key = {"deepspin": "rcut", "native_spin": "cutoff"}[kind]
    return MAKERS[kind](**({} if cutoff is None else {key: cutoff}), **settings)


def spins_turn_alone(potential: Potential) -> bool:
    """Whether the energy stays as it is when the spins turn and the atoms do not."""
    spec = potential.spec
    if spec.exchange.terms or not isinstance(spec, NativeSpinSpec):
        return False
    return not any(GROUPS[name].spin_orbit for name in spec.descriptor.groups)


def even_in_spins(potential: Potential) -> bool:
    """Whether time reversal is exact."""
    return potential.spec.time_reversal or isinstance(potential.spec, NativeSpinSpec)
