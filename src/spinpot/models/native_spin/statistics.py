"""Statistics of the invariants over the training frames: channels, means, deviations and bounds.

The frames are jittered. In a crystal with small displacements the invariants hardly change. If they were
scaled by these changes alone, forces for larger displacements would be unbounded.

The nets' input is bounded: far from the training frames the nets are constant, and only the linear part
changes. Instead of an invariant z, a net gets x = centre + d/√(1 + nearness d²) with d = z − centre, which is
at most 1/√nearness from the centre. Near the training frames x is close to z. Far from them
∂x/∂z = (1 + nearness d²)^(−3/2) vanishes, and with it the net's forces. ∂x/∂z never exceeds 1. (If the net
were multiplied by a decreasing factor instead, the factor's slope would cause forces.)
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spinpot.core.console import counted
from spinpot.data.batch import Batch, Frame, batches
from spinpot.data.dataset import make_frame
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.native_spin.groups import KINDS, Products
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.sums import columns

JITTER = 0.01
"""Standard deviation of each coordinate, Å."""
SPIN_JITTER = 0.03
"""Standard deviation of each component of a moment, relative to its length."""
SMALLEST_STRENGTH = 1e-6
"""Lower bound of a channel's strength: its eigenvalue relative to the largest."""
ROUNDING = 1e-13
"""Eigenvalues below this fraction of the largest are rounding."""
NO_CHANGE = 1e-10
"""Invariants with a smaller deviation, for channels of length 1, count as constant."""
MOST_FRAMES, MOST_ATOMS = 200, 20_000
"""Most frames and atoms used for the statistics."""
LEAST_ATOMS = 10
"""Least number of samples of an element; frames of rarer elements are repeated."""
AT_ONCE = 4
REACH = 20.0
"""The largest |x − centre|, in standard deviations of the training frames."""
LEAST_DEVIATION = 0.05
"""Lower bound of these deviations, relative to those of jittered frames: narrow bounds make x(z) sharp."""


def settle_invariants(
    invariants: Invariants, geometry: Geometry, systems: Sequence[System], seed: int
) -> Tensor:
    """Set the buffers of the invariants from jittered training frames; returns the deviations of z, (T, P).

    seed: draws the noise, and the frames if there are too many.
    """
    given = list(batches(jittered(looked_at(systems, seed), seed), geometry, AT_ONCE))
    _settle_moments(invariants, given)
    strengths = _settle_channels(invariants, given)
    invariants.mean.zero_()
    invariants.scale.fill_(1.0)
    found = invariants_of(invariants, counted(given, "Invariants"))
    deviations = torch.zeros_like(invariants.scale)
    for element, values in enumerate(found):
        invariants.scale[element] = 0.0
        if len(values) < 2:
            continue
        deviation = values.std(dim=0)
        strength = of_invariants(invariants.products, strengths[element])
        invariants.mean[element] = values.mean(dim=0)
        deviations[element] = torch.where(deviation > NO_CHANGE, strength, 0.0)
        invariants.scale[element] = deviations[element] / deviation.clamp(min=NO_CHANGE)
    return deviations


def bounds(
    invariants: Invariants, geometry: Geometry, systems: Sequence[System], jitter: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Centre and nearness (T, P) from training frames; zero for an element without frames.

    jitter: as settle_invariants returns it; seed: as there.
    """
    frames = (make_frame(*place) for place in looked_at(systems, seed))
    plain = invariants_of(invariants, batches(frames, geometry, AT_ONCE))
    centre, nearness = torch.zeros_like(invariants.mean), torch.zeros_like(invariants.mean)
    for element, own in enumerate(plain):
        if len(own) < 2:
            continue
        width = REACH * torch.maximum(own.std(dim=0), LEAST_DEVIATION * jitter[element])
        centre[element] = own.mean(dim=0)
        nearness[element] = torch.where(invariants.scale[element] > 0.0, width**-2, 0.0)
    return centre, nearness


def invariants_of(invariants: Invariants, given: Iterable[Batch]) -> list[Tensor]:
    """Invariants (n, P) of the centres of each element."""
    found: list[list[Tensor]] = [[] for _ in range(invariants.elements)]
    for batch in given:
        z = invariants.normalised(batch, batch.pair_vector.double(), invariants.moments(batch))
        for parts, own in zip(found, z.split(batch.type_sizes), strict=True):
            parts.append(own)
    return [torch.cat(parts) for parts in found]


def chosen(
    systems: Sequence[System], seed: int, most_frames: int = MOST_FRAMES, most_atoms: int = MOST_ATOMS
) -> list[tuple[System, int]]:
    """Training frames, randomly drawn if there are too many; at least one with each element."""
    places = [(system, index) for system in systems for index in range(len(system))]
    atoms = sum(system.n_atoms for system, _ in places)
    few = min(len(places), most_frames, max(1, len(places) * most_atoms // max(atoms, 1)))
    order = np.random.default_rng(seed).permutation(len(places))
    if few < len(places):
        number = np.concatenate([np.tile(_atoms(system), (len(system), 1)) for system in systems])[order]
        before = number.cumsum(axis=0) - number
        first, some = (((number > 0) & (before < least)).any(axis=1) for least in (1, LEAST_ATOMS))
        order = order[np.argsort(-1 * first - some, kind="stable")]
        few = max(few, int(first.sum()))
    return [places[number] for number in np.sort(order[:few])]


def looked_at(systems: Sequence[System], seed: int) -> list[tuple[System, int]]:
    """Training frames for statistics with noise; frames of rare elements are repeated."""
    places = chosen(systems, seed)
    number = np.sum([_atoms(system) for system, _ in places], axis=0)
    times = -(-LEAST_ATOMS // np.maximum(number, 1))
    return [place for place in places for _ in range(times[place[0].types].max())]


def _atoms(system: System) -> np.ndarray:
    """(T,), number of atoms of each element."""
    return np.bincount(system.types, minlength=len(system.type_map))


def jittered(places: Sequence[tuple[System, int]], seed: int) -> Iterator[Frame]:
    """The frames with noise on coordinates and moments."""
    random = np.random.default_rng(seed)
    for place in places:
        frame = make_frame(*place)
        length = np.linalg.norm(frame.spin, axis=1, keepdims=True)
        coord = frame.coord + JITTER * random.normal(size=frame.coord.shape)
        yield replace(
            frame, coord=coord, spin=frame.spin + SPIN_JITTER * length * random.normal(size=coord.shape)
        )


def _settle_moments(invariants: Invariants, given: Sequence[Batch]) -> None:
    types = torch.cat([batch.types for batch in given])
    square = torch.cat([invariants.moments(batch).square().sum(-1) for batch in given])
    for element in range(invariants.elements):
        of_element = square[types == element]
        invariants.moment_square[element] = of_element.mean() if len(of_element) else 0.0


def _settle_channels(invariants: Invariants, given: Sequence[Batch]) -> list[dict[str, Tensor]]:
    """Set the channels to leading eigenvectors of ⟨Σ_c A_k A_l⟩; returns strengths by element and kind."""
    places = columns(list(invariants.channels))
    squares = [{kind: torch.zeros(()) for kind in places} for _ in range(invariants.elements)]
    means, atoms_of = [torch.zeros(()) for _ in squares], torch.zeros(len(squares))
    for batch in given:
        sums = invariants.sums(batch, batch.pair_vector, invariants.moments(batch))
        for element, atoms in enumerate(batch.atom_order.split(batch.type_sizes)):
            own = sums[atoms]
            atoms_of[element] += len(atoms)
            if "density" in places:
                means[element] = means[element] + own[..., places["density"]].sum(0)
            for kind, place in places.items():
                part = own[..., place]
                weighted = part * part.new_tensor(KINDS[kind].weights)
                squares[element][kind] = squares[element][kind] + torch.einsum("akc,alc->kl", weighted, part)
    strengths = []
    for element, number in enumerate(atoms_of.tolist()):
        of_kinds, first = {}, 0
        for kind, count in invariants.channels.items():
            square = squares[element][kind] / max(number, 1)
            if kind == "density":
                mean = means[element][:, 0] / max(number, 1)
                square = square - mean[:, None] * mean
            mixing, of_kinds[kind] = channels(square, count)
            invariants.mixing[element][:, first : first + count] = mixing
            first += count
        strengths.append(of_kinds)
    return strengths


def channels(square: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Leading eigenvectors divided by √eigenvalue, (N, count), and their √eigenvalues relative to the first.

    Eigenvectors whose eigenvalues are rounding are set to zero, since they would amplify it.
    """
    values, vectors = torch.linalg.eigh(square)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    found = int((values > ROUNDING * values[0]).sum())
    root = values[:found].clamp(min=SMALLEST_STRENGTH * values[0].item()).sqrt()
    mixing, strength = square.new_zeros(len(square), count), square.new_zeros(count)
    mixing[:, :found] = vectors[:, :found] / root
    strength[:found] = root / root[:1]
    return mixing, strength


def of_invariants(products: Products, strengths: dict[str, Tensor]) -> Tensor:
    """(P,), for each invariant the product of the strengths of its channels."""
    made = torch.ones(len(products.features), dtype=torch.float64)
    for number, place in enumerate(products.features):
        for kind, channel in products.factors[place]:
            made[number] *= strengths[kind][channel]
    return made
