"""`model.exchange`: the terms of the exchange energy of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinpot.core.errors import require

SPIN_ORBIT = ("anisotropic", "single_ion")
"""Terms that change if all spins rotate while the lattice does not (spin-orbit coupling)."""
EXCHANGE_TERMS = ("bilinear", "biquadratic", "anisotropic", "single_ion", "landau", "landau_field")


@dataclass(frozen=True)
class ExchangeSettings:
    """E_spin, the physical baseline under the network (spinpot.models.exchange). Without terms there is none.

    terms: bilinear −½Σ J(r) S_i·S_j · biquadratic −½Σ B(r) (S_i·S_j)² · anisotropic, the symmetric
        anisotropic exchange · single_ion, anisotropy by the directions around an atom · landau, a function of
        S² · landau_field, a function of S² and the neighbours' moments.
    n_radial: number of radial functions of J(r), B(r) and so on, from 0 to the descriptor's rcut.
    n_field: number of the wider radial functions with which landau_field weights the neighbours' moments.
    """

    terms: Sequence[str] = ()
    n_radial: int = 10
    n_field: int = 4

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        key, terms = "model.exchange", list(self.terms)
        once = set(terms) <= set(EXCHANGE_TERMS) and len(set(terms)) == len(terms)
        known = f"some of {', '.join(EXCHANGE_TERMS)}, each once, as model/exchange=full chooses them."
        require(once, f"{key}.terms", terms, known)
        based = "bilinear among them, since the others build on it."
        require(not terms or "bilinear" in terms, f"{key}.terms", terms, based)
        for name in ("n_radial", "n_field"):
            require(getattr(self, name) >= 1, f"{key}.{name}", getattr(self, name), "at least 1.")
