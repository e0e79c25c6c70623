"""Estimates the distance of a frame from the training frames, and the expected errors.

The derivative of a predicted number with respect to the weights of the linear part and the elements' energies
is a row x. The leverage of the number is h = x N⁻¹ xᵀ, with the normal matrix N of the least squares, divided
by the mean h of such numbers in the training frames. It is about 1 for frames like these. The expected error
is σ = noise √(1 + h). The noise is calibrated on the finished model's errors for held-out frames, since nets
that fit a few hundred energies have smaller errors on these than on others.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from spinpot.core.quantities import FORCE_MAG, MAIN
from spinpot.data.batch import Batch
from spinpot.models.energy_bias import composition
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.rows import design

ATOMS_AT_ONCE = 1024
"""Atoms whose rows are multiplied at once, which bounds the memory."""
WITHIN = 0.683
"""Fraction of errors within one σ, as for a normal distribution."""


class Uncertainty(nn.Module):
    """Leverages and σ of energy per atom, force and magnetic force.

    whitening: (T P + T, T P + T), W with W Wᵀ = N⁻¹. usual: (3,), the mean h in training frames. noise: (3,),
    eV/atom, eV/Å, eV/μ_B. All are zero until they are set.
    """

    whitening: Tensor
    usual: Tensor
    noise: Tensor

    def __init__(self, elements: int, size: int) -> None:
        super().__init__()
        columns = elements * size + elements
        self.register_buffer("whitening", torch.zeros(columns, columns, dtype=torch.float64))
        for name in ("usual", "noise"):
            self.register_buffer(name, torch.zeros(len(MAIN), dtype=torch.float64))

    def settle(self, normal: Tensor) -> None:
        """Set N (T P + T, T P + T), with its ridge: first the weights, then the elements' energies."""
        root = torch.linalg.cholesky(normal)
        unit = torch.eye(len(normal), dtype=root.dtype, device=root.device)
        self.whitening.copy_(torch.linalg.solve_triangular(root, unit, upper=False).mT)
        self.noise.zero_()

    def settle_usual(self, invariants: Invariants, scale: Tensor, training: Iterable[Batch]) -> None:
        """Set the mean h. scale: ε, eV; training: some training frames."""
        leverages = [self._leverages(invariants, scale, batch) for batch in training]
        for place, of_batches in enumerate(zip(*leverages, strict=True)):
            h = torch.cat(of_batches)
            self.usual[place] = h[h > 0.0].mean() if h.any() else 1.0

    def settle_noise(
        self, invariants: Invariants, scale: Tensor, given: Iterable[tuple[Batch, Mapping[str, Tensor]]]
    ) -> None:
        """Set the noise. given: frames, and the finished model's predictions for them."""
        found: list[list[Tensor]] = [[] for _ in MAIN]
        for batch, prediction in given:
            leverages = self._leverages(invariants, scale, batch)
            errors = _errors(batch, prediction)
            for parts, h, usual, sizes in zip(found, leverages, self.usual, errors, strict=True):
                expected = (1.0 + h / usual).sqrt().unsqueeze(-1)
                parts.append((sizes / expected)[(h > 0.0) & sizes.isfinite().all(-1)].flatten())
        for place, parts in enumerate(found):
            ratios = torch.cat(parts)
            self.noise[place] = ratios.quantile(WITHIN) if len(ratios) else torch.nan

    def forward(self, invariants: Invariants, scale: Tensor, batch: Batch) -> dict[str, Tensor] | None:
        """As Potential.uncertainty."""
        if not self.usual.any():
            return None
        found = self._leverages(invariants, scale, batch)
        energy, force, force_mag = (h / usual for h, usual in zip(found, self.usual, strict=True))
        of_energy, of_force, of_force_mag = (
            noise * (1.0 + h).sqrt() for noise, h in zip(self.noise, (energy, force, force_mag), strict=True)
        )
        return {
            "energy_sigma": of_energy,
            "force_sigma": of_force,
            "force_mag_sigma": of_force_mag.where(invariants.magnetic[batch.types], 0.0),
            "leverage": torch.maximum(force, force_mag),
        }

    def drawn(self, size: int, generator: torch.Generator) -> Tensor | None:
        """A random change of the first `size` weights: covariance N⁻¹ noise²/(mean h) of magnetic forces.

        None if the noise of magnetic forces is unknown.
        """
        place = MAIN.index(FORCE_MAG)
        if not (self.usual[place] > 0.0 and self.noise[place] > 0.0):
            return None
        normal = torch.randn(len(self.whitening), generator=generator, dtype=torch.float64)
        spread = self.noise[place] / self.usual[place].sqrt()
        return spread * (self.whitening[:size] @ normal.to(self.whitening.device))

    def _leverages(
        self, invariants: Invariants, scale: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Leverages h of energy per atom (F,), force and magnetic force (A,), averaged over components."""
        rows = design(invariants, batch)
        weights = self.whitening[: rows.energy.shape[-1]]
        offsets = self.whitening[rows.energy.shape[-1] :]
        energy = scale * rows.energy @ weights + composition(batch).to(offsets.dtype) @ offsets
        force, force_mag = (_squares(values, scale * weights) for values in (rows.force, rows.force_mag))
        per_atom = energy / batch.n_atoms.unsqueeze(-1)
        return per_atom.square().sum(-1), force / 3.0, force_mag / 3.0


def _squares(rows: Tensor, weights: Tensor) -> Tensor:
    """Σ (rows · weights)² for each atom, (A,). rows: (A, 3, T P); weights: (T P, C)."""
    return torch.cat([(some @ weights).square().sum((-2, -1)) for some in rows.split(ATOMS_AT_ONCE)])


def _errors(batch: Batch, prediction: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Absolute errors of energy per atom (F, 1), forces and magnetic forces (A, 3)."""
    energy = (prediction["energy"] - batch.energy) / batch.n_atoms
    force, force_mag = (prediction[name] - getattr(batch, name) for name in ("force", "force_mag"))
    return energy.abs().unsqueeze(-1), force.abs(), force_mag.abs()
