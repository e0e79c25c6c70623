"""The parts of spin dynamics that do not depend on the model: random numbers, extrapolated fields, rotations.

Each function calls the kernel of the same purpose, or computes the same with numpy if there are no kernels.
"""

from ctypes import byref, c_double, c_int64
from dataclasses import dataclass, field

import numpy as np

from spinpot.core.vectors import unit
from spinpot.kernels.interface import structure
from spinpot.kernels.library import checked, library

SPINS, ATOMS = 0, 1
"""Purposes of random numbers."""
FIELDS = 8
"""Number of previous steps whose fields are stored."""
REMEMBERED = 0.95
"""The factor by which the sums that determine λ decay with each evaluation."""
DAMPED_TURNS = 3
"""Number of fixed-point iterations for the damping term, which depends on the unknown midpoint."""
_TURN = structure("spinpot_turn")
_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_FACTORS, _BUMPS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64), (0x9E3779B9, 0xBB67AE85)


def normals(seed: int, step: int, purpose: int, ids: np.ndarray, width: int = 3) -> np.ndarray:
    """Normal random numbers (N, width). They depend only on seed, step, purpose, ids (N,) and column."""
    ids = np.ascontiguousarray(ids, dtype=np.int64)
    if (found := library()) is None:
        return _normals(seed, step, purpose, ids, width)
    out = np.empty((len(ids), width))
    checked(found.spinpot_normals(seed, step, purpose, ids.ctypes.data, len(ids), width, out.ctypes.data))
    return out


class History:
    """The fields and midpoints of N spins in previous steps.

    The field of a spin is B ≈ λ m + rest, with λ of each spin fitted by least squares. The part λ m does not
    rotate a spin whose midpoint is m.

    rows: (N, 3 + 6 FIELDS), in the layout of SPINPOT_HISTORY (interface.h).
    """

    def __init__(self, count: int) -> None:
        self.rows = np.zeros((count, 3 + 6 * FIELDS))

    def expected(self) -> np.ndarray:
        """The rest in the next step (N, 3), extrapolated from the previous steps by a polynomial.

        For each spin, the polynomial has the order that was most accurate in the previous steps.
        """
        if (found := library()) is None:
            return self._expected()
        out = np.empty((len(self.rows), 3))
        checked(found.spinpot_expected_fields(len(out), self.rows.ctypes.data, out.ctypes.data))
        return out

    def evaluated(self, first: bool, field: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """Store a field evaluated at `middle` (N, 3) and return its rest (N, 3).

        first: whether this is the first evaluation of the step; later ones replace it.
        """
        if (found := library()) is None:
            return self._evaluated(first, field, middle)
        given = [np.ascontiguousarray(array, dtype=np.float64) for array in (field, middle)]
        out = np.empty_like(given[0])
        places = (array.ctypes.data for array in (*given, self.rows, out))
        checked(found.spinpot_evaluated_fields(len(out), int(first), *places))
        return out

    def _own(self) -> np.ndarray:
        along, squares = self.rows[:, 1:2], self.rows[:, 2:3]
        return np.asarray(along / np.where(squares > 0.0, squares, np.inf))

    def _steps(self) -> np.ndarray:
        """Field and midpoint of each step, (N, FIELDS, 2, 3)."""
        return self.rows[:, 3:].reshape(-1, FIELDS, 2, 3)

    def _expected(self) -> np.ndarray:
        """As spinpot_expected_fields; here all spins have the same number of steps."""
        steps = self._steps()[:, : int(self.rows[:, 0].max(initial=0.0))]
        return _extrapolated(steps[:, :, 0] - self._own()[:, None] * steps[:, :, 1])

    def _evaluated(self, first: bool, field: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """As spinpot_evaluated_fields."""
        steps = self._steps()
        if first:
            steps[:, 1:] = steps[:, :-1].copy()
            self.rows[:, 0] = np.minimum(self.rows[:, 0] + 1.0, FIELDS)
        else:
            changed, moved = field - steps[:, 0, 0], middle - steps[:, 0, 1]
            sums = np.stack([(moved * changed).sum(axis=1), (moved * moved).sum(axis=1)], axis=1)
            self.rows[:, 1:3] = REMEMBERED * self.rows[:, 1:3] + sums
        steps[:, 0, 0], steps[:, 0, 1] = field, middle
        return np.asarray(field - self._own() * middle)


def _extrapolated(fields: np.ndarray) -> np.ndarray:
    """As `extrapolated` in dynamics.cpp: ∇^m b_0 and ∇^m b_1 are errors of the sum of ∇^j b_0 with j < m."""
    if not fields.shape[1]:
        return np.zeros((len(fields), 3))
    best, total = fields[:, 0], np.zeros((len(fields), 3))
    least = np.full(len(fields), np.inf)
    while fields.shape[1] > 1:
        total = total + fields[:, 0]
        fields = fields[:, :-1] - fields[:, 1:]
        error = np.square(fields[:, :2]).sum(axis=2).mean(axis=1)
        best = np.where((error < least)[:, None], total, best)
        least = np.minimum(least, error)
    return best


@dataclass
class Turn:
    """The iterated step of N spins: S′ is S rotated about the field at the midpoint of S and S′.

    angle: g dt/ħ, μ_B/eV. damping: α. before: S. middle: the midpoint, where the field is to be evaluated.
    after: S′. All three are (N, 3), μ_B.
    """

    angle: float
    damping: float
    before: np.ndarray
    middle: np.ndarray = field(init=False)
    after: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.before = np.array(self.before, dtype=np.float64)
        self.middle, self.after = self.before.copy(), self.before.copy()

    def by(self, field: np.ndarray) -> float:
        """Rotate about a field (N, 3), eV/μ_B; returns the largest change of any component of S′."""
        if (found := library()) is None:
            return self._by(field)
        field = np.ascontiguousarray(field, dtype=np.float64)
        places = (array.ctypes.data for array in (self.before, field, self.middle, self.after))
        given, change = _TURN(len(self.before), self.angle, self.damping, *places), c_double()
        checked(found.spinpot_turn_spins(byref(given), byref(change)))
        return change.value

    def _by(self, field: np.ndarray) -> float:
        """As spinpot_turn_spins."""
        for _ in range(1 if self.damping == 0.0 else DAMPED_TURNS):
            towards = self.damping * np.cross(unit(self.middle), field)
            axis = -self.angle / (1.0 + self.damping**2) * (field + towards)
            after = rotated(self.before, axis)
            self.middle = midpoint(self.before, after)
        change = float(np.abs(after - self.after).max(initial=0.0))
        self.after = after
        return change


@dataclass
class Convergence:
    """Convergence test of the iteration for S′.

    tolerance: μ_B. damping: α; without damping the errors of many steps add up to an energy drift, so a fifth
    of the tolerance is used. contraction: ratio of successive changes, kept from step to step. last: the
    previous change.
    """

    tolerance: float
    damping: float = 0.0
    contraction: float = 1.0
    last: float = 0.0

    def begin(self) -> None:
        """Begin a new step."""
        self.last = 0.0

    def found(self, change: float) -> bool:
        """Whether the error of S′ after this change is within the tolerance (μ_B)."""
        if (own := library()) is None:
            return self._found(change)
        last, contraction, found = c_double(self.last), c_double(self.contraction), c_int64()
        changed = byref(last), byref(contraction), byref(found)
        checked(own.spinpot_spins_found(self.tolerance, self.damping, change, *changed))
        self.last, self.contraction = last.value, contraction.value
        return bool(found.value)

    def _found(self, change: float) -> bool:
        """As spinpot_spins_found."""
        self.contraction = change / self.last if self.last > 0.0 else min(1.1 * self.contraction, 1.0)
        self.last, c = change, min(self.contraction, 0.9)
        return change * c <= self.tolerance * (0.2 if self.damping == 0.0 else 1.0) * (1.0 - c)


def midpoint(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The vectors (N, 3) halfway between vectors of equal lengths, with the same length."""
    return np.asarray(unit(one + other) * np.linalg.norm(one, axis=1, keepdims=True))


def rotated(spin: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """S′ with S′ − S = ½(S + S′) × angle, the Cayley transform: S rotated about `angle`. Both are (N, 3)."""
    a = 0.5 * angle
    square = (a * a).sum(axis=1, keepdims=True)
    along = (a * spin).sum(axis=1, keepdims=True) * a
    return np.asarray((spin * (1.0 - square) + 2.0 * (np.cross(spin, a) + along)) / (1.0 + square))


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw, SC'11): words (4, …) of counters (4, …)."""
    c = list(np.asarray(counter, dtype=np.uint64))
    for number in range(10):
        first, second = (np.uint64((key[k] + number * _BUMPS[k]) & 0xFFFFFFFF) for k in (0, 1))
        one, other = c[0] * _FACTORS[0], c[2] * _FACTORS[1]
        c = [other >> _HALF ^ c[1] ^ first, other & _WORD, one >> _HALF ^ c[3] ^ second, one & _WORD]
    return np.array(c)


def _normals(seed: int, step: int, purpose: int, ids: np.ndarray, width: int) -> np.ndarray:
    """As spinpot_normals: Box and Muller's formula makes two normal numbers from two words."""
    blocks = np.arange(-(-width // 4), dtype=np.uint64)
    low = np.full((len(ids), len(blocks)), step & 0xFFFFFFFF, dtype=np.uint64)
    high = low * np.uint64(0) + np.uint64(step >> 32 | purpose << 16) + (blocks << np.uint64(24))
    atoms = np.broadcast_to(ids.astype(np.uint64)[:, None], low.shape)
    counter = np.array([atoms & _WORD, atoms >> _HALF, low, high])
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)).astype(np.float64)
    radius = np.sqrt(-2.0 * np.log((words[::2] + 1.0) / 2.0**32))
    angle = 2.0 * np.pi / 2.0**32 * words[1::2]
    drawn = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # (2, 2, N, blocks)
    return np.asarray(drawn.transpose(2, 3, 0, 1).reshape(len(ids), -1)[:, :width])
