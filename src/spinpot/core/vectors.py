"""Operations on arrays of vectors: directions, transverse parts, angles."""

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors of vectors (…, 3); zero for zero vectors."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norm > 0.0, norm, 1.0)


def largest(vectors: np.ndarray) -> float:
    """The length of the longest vector (…, 3); zero without vectors."""
    return float(np.linalg.norm(vectors, axis=-1).max(initial=0.0))


def transverse(vectors: np.ndarray, spin: np.ndarray) -> np.ndarray:
    """The parts of vectors (…, 3) perpendicular to the spins (…, 3); zero for zero spins."""
    direction = unit(spin)
    along = (vectors * direction).sum(axis=-1, keepdims=True)
    return np.where(direction.any(axis=-1, keepdims=True), vectors - along * direction, 0.0)


def angles(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angles between vectors (…, 3), rad; zero for zero vectors."""
    sine = np.linalg.norm(np.cross(vectors, others), axis=-1)
    return np.asarray(np.arctan2(sine, (vectors * others).sum(axis=-1)))
