"""The kinds of sums over neighbours, and the invariants: sums of products of a centre's numbers.

A centre's numbers are 1, the mean S² of its element, its moment S, and the channels of each kind of sum.
Every invariant is a sum of products of up to three of these numbers or of earlier sums. One short loop
therefore computes all of them, in torch and in the kernels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, product

AXES = tuple(product(range(3), repeat=2))
"""The indices of the components of a matrix."""
SYMMETRIC = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""The order of the components of a symmetric tensor."""


@dataclass(frozen=True)
class Kind:
    """A kind of sum Σ_j φ_k(r_ij) ρ, over all or only over magnetic neighbours.

    weights: multiplicity of each component of ρ in the scalar product of two sums.
    """

    weights: tuple[int, ...]
    magnetic: bool

    @property
    def size(self) -> int:
        """Number of components of ρ."""
        return len(self.weights)


VECTOR, TENSOR = (1, 1, 1), (1, 1, 1, 2, 2, 2)
KINDS = {
    "density": Kind((1,), False),  # 1
    "direction": Kind(VECTOR, False),  # û
    "shape": Kind(TENSOR, False),  # ûû − 1/3
    "moment": Kind(VECTOR, True),  # S
    "moment_square": Kind(TENSOR, True),  # SS
    "direction_moment": Kind(VECTOR * 3, True),  # û_a S_b
    "shape_moment": Kind(tuple(w for w in TENSOR for _ in range(3)), True),  # (ûû − 1/3)_a S_b
    "pseudo_dipole": Kind(VECTOR, True),  # û(û·S) − S/3
}
"""The kinds by name; comments show ρ for a neighbour in direction û with moment S."""

Term = tuple[float, tuple[int, ...]]
"""A coefficient, and the indices of up to three factors."""

ONE, MEAN_SQUARE, SPIN, FIRST = 0, 1, (2, 3, 4), 5
"""Indices of 1, of the element's mean S², of S, and of the first channel."""
IN_PRODUCTS = 5
"""Number of channels of `moment` that enter products with S²."""


@dataclass
class Products:
    """All sums of products, each after the sums it needs.

    channels: number per kind. terms: of each sum. features: indices of the sums that are invariants of the
    model; names: their names. factors: the channels (kind, number) that each number contains.
    """

    channels: Mapping[str, int]
    terms: list[list[Term]] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    factors: list[tuple[tuple[str, int], ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts, place = {}, FIRST
        self.factors += [()] * FIRST
        for kind, number in self.channels.items():
            self.starts[kind] = place
            for m in range(number):
                self.factors += [((kind, m),)] * KINDS[kind].size
            place += number * KINDS[kind].size
        self.given = place

    @classmethod
    def of_groups(cls, groups: Sequence[str], channels: Mapping[str, int]) -> "Products":
        """The sums of products of some groups."""
        made = cls(channels)
        for group in groups:
            GROUPS[group].add(made)
        made._sort()
        return made

    def _sort(self) -> None:
        """Sort the sums by level: sums that need no other sum come first."""
        levels = self.levels()
        order = sorted(range(len(levels)), key=levels.__getitem__)
        moved = {self.given + old: self.given + new for new, old in enumerate(order)}
        of_sums = self.factors[self.given :]
        self.factors[self.given :] = [of_sums[old] for old in order]
        self.terms = [
            [
                (weight, tuple(moved.get(place, place) for place in places))
                for weight, places in self.terms[old]
            ]
            for old in order
        ]
        self.features = [moved[place] for place in self.features]

    def at(self, kind: str, m: int, component: int) -> int:
        """The index of a component of a channel."""
        return self.starts[kind] + m * KINDS[kind].size + component

    def each(self, kind: str) -> range:
        """The channel numbers of a kind."""
        return range(self.channels[kind])

    def made(self, terms: Sequence[Term]) -> int:
        """Add a sum of products; returns its index."""
        _, places = terms[-1]
        self.factors.append(tuple(own for place in places for own in self.factors[place]))
        self.terms.append(list(terms))
        return self.given + len(self.terms) - 1

    def feature(self, name: str, terms: Sequence[Term]) -> int:
        """Add an invariant; returns its index."""
        place = self.made(terms)
        self.features.append(place)
        self.names.append(name)
        return place

    def levels(self) -> list[int]:
        """The level of each sum: the number of steps from a centre's own numbers."""
        found: list[int] = []
        for terms in self.terms:
            before = [found[p - self.given] for _, places in terms for p in places if p >= self.given]
            found.append(1 + max(before, default=0))
        return found


@dataclass(frozen=True)
class Group:
    """Invariants of one form.

    kinds: the kinds of sums they use. spin_orbit: whether they change if all spins rotate but the lattice
    does not.
    """

    kinds: tuple[str, ...]
    add: Callable[[Products], None]
    spin_orbit: bool = False


def _pairs(made: Products, kind: str) -> Iterator[tuple[int, int]]:
    return combinations_with_replacement(made.each(kind), 2)


def _density(made: Products) -> None:
    for m in made.each("density"):
        made.feature(f"r{m}", [(1.0, (made.at("density", m, 0),))])


def _contracted(kind: str, symbol: str) -> Callable[[Products], None]:
    """Scalar products of two channels of a kind."""

    def add(made: Products) -> None:
        for m, n in _pairs(made, kind):
            weights = enumerate(KINDS[kind].weights)
            terms = [(float(w), (made.at(kind, m, c), made.at(kind, n, c))) for c, w in weights]
            made.feature(f"{symbol}{m}·{symbol}{n}", terms)

    return add


def _along(kind: str, symbol: str) -> Callable[[Products], None]:
    """Products of S with the channels of a vector, or of SS with the channels of a symmetric tensor."""

    def add(made: Products) -> None:
        size = KINDS[kind].size
        spins = (
            [(1.0, (s,)) for s in SPIN]
            if size == 3
            else [(1.0 if a == b else 2.0, (SPIN[a], SPIN[b])) for a, b in SYMMETRIC]
        )
        for m in made.each(kind):
            terms = [(w, (made.at(kind, m, c), *places)) for c, (w, places) in enumerate(spins)]
            made.feature(f"S·{symbol}{m}" if size == 3 else f"S·{symbol}{m}·S", terms)

    return add


def _excess(made: Products) -> int:
    """The index of X = S² − its mean."""
    return made.made([(-1.0, (MEAN_SQUARE, ONE)), *((1.0, (s, s)) for s in SPIN)])


def _length(made: Products) -> None:
    made.feature("S²", [(1.0, (s, s)) for s in SPIN])
    x = _excess(made)
    made.feature("x²", [(1.0, (x, x))])


def _length_exchange(made: Products) -> None:
    """Add the products X (u·S), X (u·S)(u·S) and X u·u of the first channels."""
    x, few = _excess(made), range(min(IN_PRODUCTS, made.channels["moment"]))
    us = [made.made([(1.0, (made.at("moment", m, c), s)) for c, s in enumerate(SPIN)]) for m in few]
    for m in few:
        made.feature(f"x S·u{m}", [(1.0, (x, us[m]))])
    for m, n in combinations_with_replacement(few, 2):
        made.feature(f"x S·u{m} S·u{n}", [(1.0, (x, us[m], us[n]))])
    for m, n in combinations_with_replacement(few, 2):
        terms = [(1.0, (x, made.at("moment", m, c), made.at("moment", n, c))) for c in range(3)]
        made.feature(f"x u{m}·u{n}", terms)


def _bond_exchange(made: Products) -> None:
    """S_b w_ab v_a."""
    w, v = "direction_moment", "direction"
    for m, n in product(made.each(w), made.each(v)):
        terms = [(1.0, (made.at(w, m, 3 * a + b), made.at(v, n, a), SPIN[b])) for a, b in AXES]
        made.feature(f"S·w{m}·v{n}", terms)


def _dzyaloshinskii_moriya(made: Products) -> None:
    """(û × v)·(S_i × S_j) of magnetic centres, and (û_j × û_k)·(S_j × S_k) of all centres."""
    w, v = "direction_moment", "direction"
    for m, n in product(made.each(w), made.each(v)):
        along = [(1.0, (made.at(w, m, 3 * a + b), made.at(v, n, b), SPIN[a])) for a, b in AXES]
        across = [(-1.0, (made.at(w, m, 4 * a), made.at(v, n, b), SPIN[b])) for a, b in AXES]
        made.feature(f"D{m},{n}", along + across)
    for m, n in _pairs(made, w):
        traces = [(1.0, (made.at(w, m, 4 * a), made.at(w, n, 4 * b))) for a, b in AXES]
        crossed = [(-1.0, (made.at(w, m, 3 * a + b), made.at(w, n, 3 * b + a))) for a, b in AXES]
        made.feature(f"w{m}×w{n}", traces + crossed)


GROUPS = {
    "density": Group(("density",), _density),
    "angle": Group(("direction",), _contracted("direction", "v")),
    "shape": Group(("shape",), _contracted("shape", "q")),
    "length": Group((), _length),
    "exchange": Group(("moment",), _along("moment", "u")),
    "biquadratic": Group(("moment_square",), _along("moment_square", "b")),
    "length_exchange": Group(("moment",), _length_exchange),
    "bond_exchange": Group(("direction_moment", "direction"), _bond_exchange),
    "neighbour_exchange": Group(("moment",), _contracted("moment", "u")),
    "neighbour_exchange_angle": Group(("direction_moment",), _contracted("direction_moment", "w")),
    "neighbour_exchange_shape": Group(("shape_moment",), _contracted("shape_moment", "y")),
    "anisotropy": Group(("shape",), _along("shape", "q"), spin_orbit=True),
    "anisotropic_exchange": Group(("pseudo_dipole",), _along("pseudo_dipole", "a"), spin_orbit=True),
    "dzyaloshinskii_moriya": Group(
        ("direction_moment", "direction"), _dzyaloshinskii_moriya, spin_orbit=True
    ),
}
"""Groups by config names. v: vectors of directions, u: of moments; w: tensors of both, b: of moments."""
