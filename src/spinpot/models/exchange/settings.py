"""`model.exchange`: which terms of the exchange energy a model has."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinpot.core.errors import require

SPIN_ORBIT = ("anisotropic", "single_ion")
"""Terms that change if the spins alone turn."""
EXCHANGE_TERMS = ("bilinear", "biquadratic", "anisotropic", "single_ion", "landau", "landau_field")


@dataclass(frozen=True)
class ExchangeSettings:
    """E_spin, the term under the network (spinpot.models.exchange); without `terms` there is none.

    terms: bilinear −½Σ J(r) S_i·S_j · biquadratic −½Σ B(r) (S_i·S_j)² · anisotropic, the symmetric
        anisotropic exchange · single_ion, of the directions around an atom · landau, of S² alone ·
        landau_field, of S² in the field of the neighbours' moments.
    n_radial: radial functions of which J(r) and its like are made, from 0 to the descriptor's rcut.
    n_field: those, fewer and wider, by which landau_field weighs the neighbours' moments.
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
        based = "bilinear among them, on which the others build."
        require(not terms or "bilinear" in terms, f"{key}.terms", terms, based)
        for name in ("n_radial", "n_field"):
            require(getattr(self, name) >= 1, f"{key}.{name}", getattr(self, name), "at least 1.")
