"""E_spin(R, S): exchange, anisotropy and Landau energy, linear in its coefficients."""

import math

import torch
from torch import Tensor, nn

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.data.geometry import Geometry
from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.compiled import compiled_exchange
from spinpot.models.exchange.landau import in_field, on_site
from spinpot.models.exchange.pairs import RadialBasis, anisotropic, isotropic, single_ion
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.structure import Structure
from spinpot.models.spec import Spec


class ExchangeTerm(nn.Module):
    """The sum of the terms in model.exchange.terms; even in the spins.

    Its coefficients are θ (M,) = start + whitening · amplitudes; only the amplitudes are trained. `fit` sets
    start and whitening such that all amplitudes change the labels about equally. An optimizer with one
    learning rate can then train them together with the network's weights. The coefficients θ are in
    alphabetical order of the elements, not in that of the type map.

    moment_squared: (magnetic elements,), μ_B², the S_0² of the Landau terms.
    """

    start: Tensor
    whitening: Tensor
    moment_squared: Tensor
    magnetic: Tensor
    elements: Tensor

    def __init__(self, spec: Spec, settings: ExchangeSettings) -> None:
        super().__init__()
        pairs = spec.geometry
        self.basis = RadialBasis(pairs.cutoff, settings.n_radial)
        self.field_basis = RadialBasis(pairs.cutoff, settings.n_field)
        elements = sorted(spec.type_map)
        magnetic = sorted(spec.magnetic_elements)
        self.geometry = Geometry.of_real_atoms(pairs.cutoff, len(elements), pairs.excluded)
        self.types = [spec.type_map.index(name) for name in magnetic]
        self.shapes = shapes(settings, len(magnetic), len(elements))
        places = [magnetic.index(name) if name in magnetic else -1 for name in spec.type_map]
        self.register_buffer("magnetic", torch.tensor(places), persistent=False)
        every = [elements.index(name) for name in spec.type_map]
        self.register_buffer("elements", torch.tensor(every), persistent=False)
        number = sum(map(math.prod, self.shapes.values()))
        self.register_buffer("moment_squared", torch.zeros(len(magnetic), dtype=torch.float64))
        self.register_buffer("start", torch.zeros(number, dtype=torch.float64))
        self.register_buffer("whitening", torch.eye(number, dtype=torch.float64))
        self.amplitudes = nn.Parameter(torch.zeros(number, dtype=torch.float64))

    @property
    def coefficients(self) -> Tensor:
        """θ (M,): eV/μ_B², eV/μ_B⁴, …, depending on the power of the moments in each term."""
        return self.start + self.whitening @ self.amplitudes

    def named(self, coefficients: Tensor) -> dict[str, Tensor]:
        """{term: its coefficients}, in the shapes of the term's function."""
        parts = coefficients.split([math.prod(shape) for shape in self.shapes.values()])
        return {
            name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def forward(self, batch: Batch) -> Derivatives:
        """The term of a batch; differentiable with respect to the amplitudes if torch records gradients."""
        if not torch.is_grad_enabled() and kernels.library_for(batch.spin):
            return Derivatives(*compiled_exchange(self, batch))
        return self.evaluate(self.structure(batch), self.coefficients)

    def energies(self, batch: Batch) -> Tensor:
        """Energies of atoms (A,) of this term; not differentiable."""
        compiled = kernels.library_for(batch.spin)
        return compiled_exchange(self, batch, wanted=1)[0] if compiled else self(batch).atom_energy

    def structure(self, batch: Batch) -> Structure:
        """The pairs and moments of a batch that the term depends on."""
        return Structure(batch, self)

    def evaluate(self, structure: Structure, coefficients: Tensor) -> Derivatives:
        """The term with any coefficients (M,), in which it is linear."""
        c, spins, kind = self.named(coefficients), structure.spins, structure.spins_kind
        parts = [isotropic(spins, kind, c["bilinear"], c.get("biquadratic"))]
        if "anisotropic" in c:
            parts.append(anisotropic(spins, kind, c["anisotropic"]))
        if "single_ion" in c:
            parts.append(single_ion(structure.surroundings, structure.surroundings_kind, c["single_ion"]))
        if "landau" in c:
            parts.append(on_site(structure, c["landau"]))
        if "linear" in c:
            parts.append(in_field(structure, c["linear"], c["along"], c["across"]))
        return total(parts)


def shapes(settings: ExchangeSettings, magnetic: int, elements: int) -> dict[str, tuple[int, ...]]:
    """Shapes of each term's coefficients; magnetic: number of magnetic elements; elements: of all.

    Pair terms have one set of coefficients per unordered pair of magnetic elements.
    """
    terms = settings.terms
    pairs = (magnetic * (magnetic + 1) // 2, settings.n_radial)
    found: dict[str, tuple[int, ...]] = {
        name: pairs for name in ("bilinear", "biquadratic", "anisotropic") if name in terms
    }
    if "single_ion" in terms:
        found["single_ion"] = (magnetic * elements, settings.n_radial)
    if "landau" in terms:
        found["landau"] = (magnetic, 2)
    if "landau_field" in terms:
        fields = magnetic * settings.n_field
        products = fields * (fields + 1) // 2
        found |= {"linear": (magnetic, fields), "along": (magnetic, products), "across": (magnetic, products)}
    return found
