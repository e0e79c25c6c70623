"""Task exchange: the exchange constants J_ij of a potential and the mean-field temperature."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from spinpot.analysis.cells import magnetic_cell
from spinpot.analysis.exchange_files import tb2j_pickle, tb2j_text, vampire_files
from spinpot.analysis.exchange_tensors import Exchange, exchange_tensors
from spinpot.analysis.limits import BROKEN, FAR, Limits, limits_of
from spinpot.analysis.mean_field import mean_field_temperature
from spinpot.analysis.plots import exchange_figure
from spinpot.analysis.result import Cell, Picture, Result, Table, shown
from spinpot.analysis.shells import Shell, is_collinear, shells_of
from spinpot.analysis.state import doubts, largest_torque
from spinpot.ase import SpinCalculator
from spinpot.core.errors import require

FILES = ("exchange.out", "TB2J.pickle", "vampire.ucf", "vampire.mat", "exchange.png")
"""All files that the task may write in addition to the page."""
STEP = 0.02  # rad, by which a moment is tilted to either side
CONVENTION = (
    "E = −½ Σ_{i≠j} e_i·J_ij·e_j with unit vectors e; the sum counts each pair twice; J > 0 is ferromagnetic"
)


@dataclass(frozen=True)
class PairSettings:
    """Settings of all tasks that use exchange constants. Raises InputError for invalid values."""

    task: ClassVar[str]
    cutoff: float | None = None
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        positive = self.cutoff is None or self.cutoff > 0.0
        require(positive, f"task.{self.task}.cutoff", self.cutoff, "a distance > 0 Å, or null.")
        require(self.tolerance > 0.0, f"task.{self.task}.tolerance", self.tolerance, "a distance > 0 Å.")


@dataclass(frozen=True)
class Settings(PairSettings):
    """Settings of configs/task/exchange.yaml. Raises InputError for invalid values."""

    task: ClassVar[str] = "exchange"
    full_tensor: bool = False
    step: float = STEP
    draws: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.step <= 0.2, "task.exchange.step", self.step, "an angle > 0 and ≤ 0.2 rad.")
        require(self.draws != 1 and self.draws >= 0, "task.exchange.draws", self.draws, "0, or at least 2.")


def exchange(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """J_ij of all pairs within the cutoff: shells, mean-field temperature, files for Vampire and TB2J."""
    steps = settings.step, settings.full_tensor
    found, reach = exchange_of(model, atoms, settings, *steps)
    limits = limits_of(model, found, settings.tolerance)
    shells = shells_of(found)
    listed = [shell for shell in shells if not limits.beyond[shell.pairs].all()]
    drawn = [exchange_of(one, atoms, settings, *steps)[0] for one in model.drawn(settings.draws)]
    warning, torque = limits.in_short(), largest_torque(model, found)
    vampire, remark = vampire_files(found, warning)
    return Result(
        title="Exchange",
        paragraphs=[
            _strongest(limits, shells, drawn),
            *left_out(reach, settings.cutoff),
            *doubts(found, torque),
            f"{CONVENTION}.",
            *limits.said(shells),
            *([remark] if remark else []),
        ],
        method=[*_introduction(found, reach, settings), _checks(found, torque)],
        tables=[_shell_table(limits, listed, drawn), _convention_table(found, shells)],
        pictures=[
            Picture(
                "exchange",
                "Exchange against distance",
                _in_words(limits, listed),
                partial(exchange_figure, limits),
            )
        ],
        numbers=_numbers(limits, listed, reach, drawn),
        files={
            "exchange.out": tb2j_text(found, warning),
            "TB2J.pickle": tb2j_pickle(found, warning),
            **vampire,
        },
    )


def exchange_of(
    model: SpinCalculator, atoms: Atoms, settings: PairSettings, step: float = STEP, full: bool = False
) -> tuple[Exchange, float]:
    """The exchange tensors, and the interaction range of the model (Å). step, full: see exchange_tensors."""
    cell = magnetic_cell(atoms, settings.tolerance)
    reach = model.reach(cell)
    cutoff = min(settings.cutoff or reach, reach)
    found = exchange_tensors(model, cell, cutoff, reach, step, full)
    require(
        len(found.i), f"task.{settings.task}.cutoff", cutoff, "more: no two magnetic atoms are that close."
    )
    return found, reach


def sigma(values: Sequence[float]) -> float | None:
    """The standard deviation of results of drawn models; None without any."""
    return float(np.std(values, ddof=1)) if values else None


def _sigma_of_shell(drawn: Sequence[Exchange], shell: Shell) -> float | None:
    """The uncertainty of a shell's mean J, meV."""
    return sigma([1000.0 * float(one.isotropic[shell.pairs].mean()) for one in drawn])


def _strongest(limits: Limits, shells: list[Shell], drawn: Sequence[Exchange]) -> str:
    found = limits.found
    shell, J = strongest_of(found, shells)
    spreads = _sigma_of_shell(drawn, shell), sigma([mean_field_temperature(one) for one in drawn])
    of_J, of_T = ("" if one is None else f" ± {one:.2g}" for one in spreads)
    strongest = (
        f"The strongest exchange is J = {shown(J)}{of_J} meV{limits.marks(shell.pairs)} ({shell.elements} at "
        f"{shell.distance:.3f} Å, {'ferro' if J > 0.0 else 'antiferro'}magnetic)."
    )
    temperature, marks = mean_field_temperature(found), limits.temperature_marks()
    if temperature <= 0.0:
        return f"{strongest} No order with the period of this cell is stable in mean field{marks}."
    return (
        f"{strongest} Mean-field ordering temperature: {temperature:.0f}{of_T} K{marks}; multiply by (S+1)/S "
        "for quantum spins. The real temperature is lower. The value holds for classical spins and orders "
        "with the period of this cell."
    )


def left_out(reach: float, cutoff: float | None) -> list[str]:
    """A remark on pairs beyond the setting `cutoff`. reach: the model's interaction range; both in Å."""
    if cutoff is None or cutoff >= reach:
        return []
    return [
        f"Pairs beyond {cutoff:.2f} Å are left out, although the model's interaction range is {reach:.2f} Å. "
        "Results and marks take their J as zero."
    ]


def strongest_of(found: Exchange, shells: list[Shell]) -> tuple[Shell, float]:
    """The shell with the largest |J|, and its J in meV."""
    means = [1000.0 * float(found.isotropic[shell.pairs].mean()) for shell in shells]
    return max(zip(shells, means, strict=True), key=lambda one: abs(one[1]))


def _introduction(found: Exchange, reach: float, settings: Settings) -> list[str]:
    cutoff = min(settings.cutoff or reach, reach)
    limit = "This is the interaction range of the model."
    if cutoff < reach:
        limit = f"The interaction range of the model is {reach:.2f} Å: farther pairs are left out."
    elif settings.cutoff is not None and settings.cutoff > reach:
        limit += f" Beyond it J is zero, so that pairs up to {settings.cutoff:.2f} Å are not listed."
    said = [
        "J_ij are second derivatives of E at the given state, from central differences of the transverse "
        f"magnetic forces with moments tilted by {settings.step:g} and {2 * settings.step:g} rad.",
        f"Magnetic cell {found.cell.get_chemical_formula()}; pairs up to {cutoff:.2f} Å in a supercell of "
        f"{found.supercell_atoms} atoms. {limit}",
    ]
    if not found.full:
        said.append(
            "One state gives only the components perpendicular to its moments: J is their mean, D and the "
            "anisotropy are incomplete. task.exchange.full_tensor=true rotates the state to two further axes."
        )
    return said


def _checks(found: Exchange, torque: float) -> str:
    own, expected = 1000.0 * found.own, 1000.0 * found.expected_own()
    magnetic = np.isfinite(own)
    worst = np.abs(own - expected)[magnetic].max()
    return (
        f"Checks: the finite step changes components by at most {1000 * found.error:.2g} meV. The curvature "
        f"of E for rotating a single moment is {own[magnetic].mean():.4g} meV on average, of which isotropic "
        f"pairs explain {expected[magnetic].mean():.4g} meV. For single atoms the two differ by at most "
        f"{worst:.2g} meV (anisotropy, omitted pairs, many-body terms). The largest torque |S × ∂E/∂S| of "
        f"the state is {1000 * torque:.2g} meV."
    )


def _shell_table(limits: Limits, shells: list[Shell], drawn: Sequence[Exchange]) -> Table:
    found, large = limits.found, _large(limits, shells)
    collinear = is_collinear(found)
    energies = [
        "J",
        *(["σ"] if drawn else []),
        "range",
        *(["J ↑↑", "J ↑↓"] if collinear else []),
        "|D|",
        "anisotropy",
    ]
    columns = ["pair", "d (Å)", "z", *(f"{name} (meV)" for name in energies)]
    rows = [_row(found, shell, collinear, limits.marks(shell.pairs), drawn) for shell in large]
    note = "z: neighbours per atom. J, range: mean and range over the pairs of the shell"
    note += "; J ↑↑ and J ↑↓: for parallel and antiparallel moments. " if collinear else ". "
    if drawn:
        note += f"σ: the uncertainty of J from the linear part of the model, by {len(drawn)} random draws. "
    note += "|D| and anisotropy (the symmetric part without J): the largest component of any pair."
    if limits.far.any():
        note += f" {FAR}: not determined by the training data."
    if any(BROKEN in str(row[1]) for row in rows):
        note += f" {BROKEN}: pairs that are equal by symmetry differ, an error of the model."
    left = [shell for shell in shells if shell not in large]
    if left:
        most = max(1000.0 * np.abs(found.isotropic[shell.pairs]).max() for shell in left)
        note += (
            f" {len(left)} shells with |J| up to {shown(float(most))} meV are listed in analysis.json only."
        )
    return Table("Shells of neighbours", columns, rows, note)


def _large(limits: Limits, shells: list[Shell]) -> list[Shell]:
    return [shell for shell in shells if limits.large[shell.pairs].any()]


def _row(found: Exchange, shell: Shell, collinear: bool, marks: str, drawn: Sequence[Exchange]) -> list[Cell]:
    J = 1000.0 * found.isotropic[shell.pairs]
    limits = f"{shown(float(J.min()))} … {shown(float(J.max()))}"
    row: list[Cell] = [shell.elements, f"{shell.distance:.3f}{marks}", f"{shell.neighbours:g}"]
    row += [float(J.mean()), *([_sigma_of_shell(drawn, shell)] if drawn else []), limits]
    if collinear:
        along = found.alignment[shell.pairs]
        row += [float(J[own].mean()) if own.any() else None for own in (along > 0.0, along < 0.0)]
    D, anisotropic = found.antisymmetric[shell.pairs], found.anisotropic[shell.pairs]
    return [*row, 1000.0 * float(np.abs(D).max()), 1000.0 * float(np.abs(anisotropic).max())]


def _convention_table(found: Exchange, shells: list[Shell]) -> Table:
    strongest, J = strongest_of(found, shells)
    rows: list[list[Cell]] = [
        ["spinpot and Vampire", "−½ Σ_{i≠j} J e_i·e_j", "1", J],
        ["TB2J", "−Σ_{i≠j} J e_i·e_j", "½", 0.5 * J],
        ["each pair once, J > 0 antiferromagnetic", "Σ_{i<j} J e_i·e_j", "−1", -J],
        ["the same with spins of length S", "Σ_{i<j} J S_i·S_j", "−1/S²", ""],
    ]
    title = f"J of {strongest.elements} at {strongest.distance:.3f} Å in other conventions"
    return Table(title, ["convention", "energy", "factor", "J (meV)"], rows)


def _in_words(limits: Limits, shells: list[Shell]) -> str:
    said = [
        f"{1000 * limits.found.isotropic[shell.pairs].mean():.3g} meV at {shell.distance:.2f} Å"
        for shell in _large(limits, shells)[:3]
    ]
    return f"J against the distance of the pair: {', '.join(said)}."


def _numbers(limits: Limits, shells: list[Shell], reach: float, drawn: Sequence[Exchange]) -> dict[str, Any]:
    found, known = limits.found, limits.known
    J = 1000.0 * found.isotropic
    magnetic = np.isfinite(found.own)
    return {
        "convention": CONVENTION,
        "shells": [
            {
                "elements": shell.elements,
                "distance_A": shell.distance,
                "neighbours": shell.neighbours,
                "determined_by_training": None if known is None else bool(known[shell.pairs].all()),
                "spread_of_equal_pairs_meV": 1000.0 * limits.spread(shell.pairs),
                "J_meV": float(J[shell.pairs].mean()),
                "sigma_meV": _sigma_of_shell(drawn, shell),
                "lowest_meV": float(J[shell.pairs].min()),
                "highest_meV": float(J[shell.pairs].max()),
                "D_meV": 1000.0 * float(np.abs(found.antisymmetric[shell.pairs]).max()),
                "anisotropy_meV": 1000.0 * float(np.abs(found.anisotropic[shell.pairs]).max()),
            }
            for shell in shells
        ],
        "model_cutoff_A": limits.cutoff,
        "spread_of_equal_pairs_meV": 1000.0 * limits.spread(),
        "mean_field_temperature_K": mean_field_temperature(found),
        "mean_field_temperature_determined_by_training": limits.sum_known,
        "mean_field_temperature_sigma_K": sigma([mean_field_temperature(one) for one in drawn]),
        "reach_A": reach,
        "supercell_atoms": found.supercell_atoms,
        "step_error_meV": 1000.0 * found.error,
        "curvature_of_one_moment_meV": (1000.0 * found.own[magnetic]).tolist(),
        "curvature_by_pairs_meV": (1000.0 * found.expected_own()[magnetic]).tolist(),
    }
