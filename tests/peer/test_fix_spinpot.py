"""`fix spinpot` and its computes, with LAMMPS' own potentials and a small one whose forces are exact."""

import numpy as np
import pytest

from spinpot.kernels.dynamics import ATOMS, SPINS, Turn, normals
from support.lammps_dynamics import (
    BOLTZMANN,
    COUPLED,
    HBAR,
    MAGNETON,
    MVV2E,
    POSITIONS,
    SPINS_OF,
    STATE,
    TOY,
    VELOCITIES,
    moments,
    read_dump,
    series,
    setting,
    thermo,
)


def test_the_energy_is_kept_to_second_order_of_the_step(lammps):
    runs = [
        setting(timestep=step)
        + "fix dynamics all spinpot field 5 10 20 tolerance 1e-9\nfix_modify dynamics energy yes\n"
        + series("etotal", every)
        for step, every in ((0.001, 20), (0.0005, 40))
    ]
    coarse, fine = (table[1:, 1] - table[0, 1] for table in thermo(lammps("".join(runs))))
    print("\nenergy / eV: spread", np.ptp(coarse), np.ptp(fine), "error at first", coarse[:5], fine[:5])
    # Later on the two are no longer on the same path.
    assert 3.8 < np.linalg.norm(coarse[:10]) / np.linalg.norm(fine[:10]) < 4.2
    assert np.ptp(fine) < 0.4 * np.ptp(coarse) < 1e-3


def test_spins_whose_field_is_their_own_keep_their_energy(lammps):
    """Biquadratic exchange of LAMMPS' own, which fix nve/spin damps."""
    styles = "hybrid/overlay spin/exchange 4.0 spin/exchange/biquadratic 4.0"
    exchange = "spin/exchange exchange 4.0 0.001 0.0 2.5"
    biquadratic = "spin/exchange/biquadratic biquadratic 4.0 0.0 0.0 1.0 0.002 0.0 2.5"
    pair = f"pair_style {styles}\npair_coeff * * {exchange}\npair_coeff * * {biquadratic}"
    runs = [
        setting(timestep=step, pair=pair)
        + "fix dynamics all spinpot lattice frozen tolerance 1e-10\n"
        + series("pe", every)
        for step, every in ((0.001, 20), (0.0005, 40))
    ]
    coarse, fine = (table[1:, 1] - table[0, 1] for table in thermo(lammps("".join(runs))))
    print("\nenergy / eV: spread", np.ptp(coarse), np.ptp(fine), "error at first", coarse[:5], fine[:5])
    assert 3.8 < np.linalg.norm(coarse[:5]) / np.linalg.norm(fine[:5]) < 4.2
    assert np.ptp(fine) < 0.4 * np.ptp(coarse) < 1e-3


def test_numbers_do_not_depend_on_ranks(lammps):
    for ranks in (1, 2):
        lammps("".join(through_ranks(bath, ranks) for bath in BATHS), ranks)
    for bath in BATHS:
        one, two = (read_dump(lammps.folder / f"{bath}-{ranks}.dump") for ranks in (1, 2))
        assert list(one) == [0, 50, 100]
        differences = np.abs(one[100] - two[100]).max(axis=0)
        print(f"\n{bath}:", differences.max())
        assert differences[POSITIONS].max() < 1e-10
        assert differences[SPINS_OF].max() < 1e-10
        assert np.abs(one[100] - one[0])[:, SPINS_OF].max() > 1e-3


BATHS = {"none": "", "bath": "damping 0.1 friction 2.0 temperature 50 seed 12345 field 0 10 20"}


def through_ranks(bath, ranks):
    return (
        setting(50.0, 0.0005)
        + f"fix dynamics all spinpot {BATHS[bath]}\n"
        + STATE.format(every=50, file=f"{bath}-{ranks}.dump")
        + "run 100\n"
    )


@pytest.mark.parametrize("lattice", ["moving friction 2.0", "frozen"])
def test_a_continued_run_equals_the_uninterrupted_one(lattice, lammps):
    words = f"fix dynamics all spinpot lattice {lattice} damping 0.1 temperature 50 seed 12345\n"
    mover = "fix move all nve\n" if lattice == "frozen" else ""
    dump = STATE.format(every=40, file="{}.dump")
    whole = setting(50.0) + words + mover + dump.format("whole") + "run 40\n"
    first = setting(50.0) + words + mover + "restart 20 half\nrun 25\n"
    second = f"clear\nread_restart half.20\nneighbor 0.5 bin\n{TOY}\n{words}{mover}"
    second += dump.format("rest") + "run 20\n"
    lammps(whole + first + second)
    one, other = (read_dump(lammps.folder / f"{name}.dump")[40] for name in ("whole", "rest"))
    np.testing.assert_allclose(one[:, POSITIONS], other[:, POSITIONS], rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(one[:, SPINS_OF], other[:, SPINS_OF], rtol=0.0, atol=1e-10)


def test_moments_precess_at_their_rate(lammps):
    lammps(
        moments(2)
        + "timestep 0.001\nfix dynamics short spinpot lattice frozen field 0 0 100 tolerance 1e-12\n"
        + STATE.format(every=200, file="turned.dump")
        + "run 200\n"
    )
    frames = read_dump(lammps.folder / "turned.dump")
    start, end = (frame[:, SPINS_OF] for frame in (frames[0], frames[200]))
    moved = np.abs(end - start).max(axis=1) > 1e-6
    assert 0 < moved.sum() < len(start)
    turn = np.angle((end[:, 0] + 1j * end[:, 1]) / (start[:, 0] + 1j * start[:, 1]))[moved]
    np.testing.assert_allclose(end[:, 2], start[:, 2], rtol=0.0, atol=1e-12)
    # The turn of a step is atan of its half to second order.
    step = 2.0 * np.arctan(0.5 * 2.0 * MAGNETON * 100.0 / HBAR * 0.001)
    np.testing.assert_allclose(np.exp(1j * turn), np.exp(200j * step), rtol=0.0, atol=1e-10)
    assert step == pytest.approx(2.0 * MAGNETON * 100.0 / HBAR * 0.001, rel=1e-4)


def test_uncoupled_moments_in_a_bath_follow_langevins_function(lammps):
    lammps(
        moments(10, f"timestep 0.005\n{COUPLED} temperature 10 field 0 0 10\n")
        + "compute long long spinpot/magnetization\ncompute short short spinpot/magnetization\n"
        + "run 1000\nreset_timestep 0\n"
        + "fix mean all ave/time 100 1 100 c_long[7] c_short[7] file mean\nrun 5000\n"
    )
    for mean, length in zip(np.loadtxt(lammps.folder / "mean")[1:, 1:].T, (2.2, 1.2), strict=True):
        x = MAGNETON * length * 10.0 / (BOLTZMANN * 10.0)
        expected = 1.0 / np.tanh(x) - 1.0 / x
        error = mean.std() / np.sqrt(len(mean) / 4.0)  # a snapshot knows of the one before
        print(f"\n<cos> of {length} μ_B: {mean.mean():.4f} ± {error:.4f}, Langevin {expected:.4f}")
        assert error < 0.02
        assert abs(mean.mean() - expected) < 3.0 * error


@pytest.mark.parametrize("anisotropy", [0.0, 0.01])
def test_the_spin_temperature_is_that_of_the_bath(anisotropy, lammps):
    lammps(
        moments(10, f"timestep 0.0005\n{COUPLED} temperature 100 field 0 0 100\n")
        + f"fix easy all precession/spin anisotropy {anisotropy} 0 0 1\n" * (anisotropy > 0.0)
        + "compute long long spinpot/temperature\ncompute short short spinpot/temperature seed 5\n"
        + "run 500\nreset_timestep 0\n"
        + "fix mean all ave/time 20 1 20 c_long[1] c_long[2] c_short[1] c_short[2] file mean\nrun 2000\n"
    )
    numbers = np.loadtxt(lammps.folder / "mean")[1:, 1:]
    for above, below in (numbers[:, :2].T, numbers[:, 2:].T):
        temperature = above.mean() / below.mean()
        error = (above - temperature * below).std() / np.sqrt(len(above) / 2.0) / below.mean()
        print(f"\nspins with {1000 * anisotropy} meV: {temperature:.2f} ± {error:.2f} K")
        assert error < 4.0
        assert abs(temperature - 100.0) < 3.0 * error


def test_frozen_beside_nve_runs_backwards_to_where_it_began(lammps):
    names = ("vx", "vy", "vz", "spx", "spy", "spz")
    back = "".join(f"variable {name} atom -c_state[{n}]\n" for n, name in enumerate(names, start=4))
    reverse = "run 0\nvelocity all set v_vx v_vy v_vz\n" + "".join(
        f"set type {n} spin/atom {length} v_spx v_spy v_spz\n" for n, length in ((1, 2.2), (2, 1.2))
    )
    lammps(
        setting(300.0)
        + "fix dynamics all spinpot lattice frozen tolerance 1e-12\nfix move all nve\n"
        + STATE.format(every=100, file="path.dump")
        + back
        + "run 100\n"
        + reverse
        + "run 100\n"
        + reverse
        + "run 0\n"
    )
    frames = read_dump(lammps.folder / "path.dump")
    assert np.abs(frames[100] - frames[0])[:, POSITIONS].max() > 0.1
    # A step backwards turns spins and velocities round.
    np.testing.assert_allclose(frames[200][:, POSITIONS], frames[0][:, POSITIONS], rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(frames[200][:, SPINS_OF], -frames[0][:, SPINS_OF], rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("mover", ["nve", "nvt temp 300 300 0.1"], ids=["nve", "nvt"])
def test_what_movers_beside_frozen_conserve_is_kept_to_second_order(mover, lammps):
    runs = [
        setting(timestep=step)
        + f"fix dynamics all spinpot lattice frozen tolerance 1e-9\nfix move all {mover}\n"
        + series("econserve", every, 20)
        for step, every in ((0.002, 5), (0.001, 10))
    ]
    coarse, fine = (table[1:, 1] - table[0, 1] for table in thermo(lammps("".join(runs))))
    print(f"\n{mover}: errors / eV", coarse[:6], fine[:6])
    assert 3.6 < np.linalg.norm(coarse) / np.linalg.norm(fine) < 4.4


@pytest.mark.parametrize(
    "mover",
    [
        "nve\nfix bath all langevin 300 300 0.05 4711\nfix push all addforce 0.1 0 0",
        "npt temp 300 300 0.1 iso 0 0 1.0",
    ],
    ids=["langevin", "npt"],
)
def test_movers_beside_frozen_see_the_same_forces_and_pressure(mover, lammps):
    """Parallel spins stay as they are: a mover's path is that of spins that nothing moves."""
    start = setting() + "set type 1 spin/atom 2.2 0 0 1\nset type 2 spin/atom 1.2 0 0 1\n"
    rest = f"fix move all {mover}\n" + STATE + "run 50\n"
    lammps(
        start
        + rest.format(every=50, file="alone.dump")
        + start
        + "fix dynamics all spinpot lattice frozen\n"
        + rest.format(every=50, file="beside.dump")
    )
    alone, beside = (read_dump(lammps.folder / f"{name}.dump") for name in ("alone", "beside"))
    np.testing.assert_allclose(alone[50][:, POSITIONS], beside[50][:, POSITIONS], rtol=0.0, atol=1e-10)
    assert np.abs(beside[50] - beside[0])[:, POSITIONS].max() > 0.01


@pytest.mark.parametrize("lattice", ["moving", "frozen"])
def test_only_the_group_moves(lattice, lammps):
    mover = "fix move some nve\n" if lattice == "frozen" else ""
    lammps(
        setting()
        + f"group some id 1:10\nfix dynamics some spinpot lattice {lattice}\n{mover}"
        + STATE.format(every=20, file="group.dump")
        + "run 20\n"
    )
    frames = read_dump(lammps.folder / "group.dump")
    moved = np.abs(frames[20] - frames[0])
    assert (moved[:10, POSITIONS].max(axis=1) > 0.0).all()
    assert (moved[:10, SPINS_OF].max(axis=1) > 0.0).all()
    assert moved[10:, POSITIONS].max() < 1e-14  # LAMMPS' own way into the triclinic box and out
    assert moved[10:, SPINS_OF].max() == 0.0


def test_atoms_that_are_held_stay_beside_frozen(lammps):
    held = "group held id 1:4\nvelocity held set 0 0 0\n"
    beside = "fix move all nve\nfix hold held setforce 0 0 0\n"
    bath = "fix dynamics all spinpot lattice frozen damping 0.1 temperature 300 seed 3\n"
    lammps(setting() + held + bath + beside + STATE.format(every=20, file="held.dump") + "run 20\n")
    frames = read_dump(lammps.folder / "held.dump")
    assert np.abs(frames[20][:4, VELOCITIES]).max() == 0.0
    assert np.abs(frames[20][4:, VELOCITIES]).min(axis=1).max() > 0.0


def test_frames_that_are_read_again_are_left_as_they_are(lammps):
    beside = "fix dynamics all spinpot lattice frozen\nfix move all nve\n"
    written = "dump all all custom 5 all.dump id type x y z sp spx spy spz\nrun 10\nundump all\n"
    again = STATE.format(every=5, file="again.dump") + "rerun all.dump dump x y z\n"
    spins = "compute s all property/atom spx spy spz\n"
    written = spins + written.replace("sp spx spy spz", "c_s[1] c_s[2] c_s[3]")
    lammps(setting() + beside + written + again)
    frames = read_dump(lammps.folder / "again.dump")
    np.testing.assert_array_equal(frames[0][:, SPINS_OF], frames[10][:, SPINS_OF])


@pytest.mark.parametrize("lattice", ["moving", "frozen"])
def test_output_is_of_one_state(lattice, lammps):
    """Energies, pressure, forces and fields are those of the positions and spins at the step's end."""
    mover = "fix move all nve\n" if lattice == "frozen" else ""
    begin = (
        setting()
        + f"fix dynamics all spinpot lattice {lattice}\n{mover}compute parts all spinpot/energy\n"
        + STATE.format(every=10, file="state.dump")
        + "compute hot all spinpot/temperature\ncompute force all property/atom fx fy fz\n"
        + "compute most all reduce max c_force[1] c_state[10]\n"
        + "thermo_style custom step pe press pxy c_parts c_hot c_most[1] c_most[2]\n"
        + "thermo_modify format float %.17g\n"
    )
    averages = "fix seen all ave/time 5 1 5 c_thermo_pe c_thermo_press format ' %.17g' file seen\n"
    first, again, _ = thermo(lammps(begin + "run 5\nrun 0\n" + begin + averages + "run 7\n"))
    np.testing.assert_allclose(first[-1], again[-1], rtol=1e-10)
    assert abs(first[-1, 1] - first[0, 1]) > 1e-3
    np.testing.assert_allclose(np.loadtxt(lammps.folder / "seen")[-1, 1:], again[-1, 1:3], rtol=1e-10)


def test_computes_say_what_numpy_says(lammps):
    parts = "c_parts c_parts[1] c_parts[2] c_parts[3] c_parts[4]"
    said = lammps(
        setting()
        + "fix easy all precession/spin anisotropy 0.01 0 0 1\nfix_modify easy energy yes\n"
        + "fix dynamics all spinpot field 0 0 50\nfix_modify dynamics energy yes\n"
        + "compute parts all spinpot/energy\ngroup iron type 1\ncompute iron iron spinpot/magnetization\n"
        + "compute length all property/atom sp\ndump length all custom 1 length.dump id type c_length\n"
        + "dump_modify length sort id\n"
        + STATE.format(every=5, file="state.dump")
        + f"thermo_style custom step etotal pe ke f_dynamics f_easy {parts} c_iron c_iron[*]\n"
        + "thermo_modify format float %.17g\nrun 5\n"
    )
    total, potential, kinetic, field, easy, *rest = thermo(said)[0][-1, 1:]
    np.testing.assert_allclose(rest[:5], [total, potential - field - easy, field, easy, kinetic], rtol=1e-12)

    direction = read_dump(lammps.folder / "state.dump")[5][:, SPINS_OF]
    length = read_dump(lammps.folder / "length.dump")[5][:, 2]
    iron = read_dump(lammps.folder / "length.dump")[5][:, 1] == 1
    assert field == pytest.approx(-MAGNETON * 50.0 * length @ direction[:, 2], rel=1e-6)
    assert easy == pytest.approx(-0.01 * (direction[:, 2] ** 2).sum(), rel=1e-6)
    sums, means = 2.2 * direction[iron].sum(axis=0), direction[iron].mean(axis=0)
    scalar = np.linalg.norm(sums) / (2.2 * iron.sum())
    expected = [scalar, *sums, np.linalg.norm(sums), *means, np.linalg.norm(means)]
    np.testing.assert_allclose(rest[5:], expected, rtol=1e-10)


def test_noise_is_that_of_python(lammps):
    damping, friction, temperature, seed, dt = 0.3, 2.0, 300.0, 123456789012, 0.001
    lammps(
        moments(2, f"timestep {dt}\nvelocity all create 300 11 loop all")
        + f"fix dynamics all spinpot damping {damping} friction {friction} "
        + f"temperature {temperature} seed {seed} tolerance 1e-14\ncompute kind all property/atom mass sp\n"
        + "dump kind all custom 1 kind.dump id c_kind[*]\ndump_modify kind sort id\n"
        + STATE.format(every=1, file="noise.dump")
        + "run 1\n"
    )
    frames, kinds = read_dump(lammps.folder / "noise.dump"), read_dump(lammps.folder / "kind.dump")
    (mass, length), (before, after) = kinds[0][:, 1:].T[..., None], frames.values()
    ids = before[:, 0].astype(int)

    kept = np.exp(-friction * dt)
    spread = np.sqrt((1.0 - kept**2) * BOLTZMANN * temperature / (mass * MVV2E))
    velocities = kept * before[:, VELOCITIES] + spread * normals(seed, 1, ATOMS, ids)
    np.testing.assert_allclose(after[:, VELOCITIES], velocities, rtol=1e-9)

    deviation = np.sqrt(2.0 * damping * BOLTZMANN * temperature * HBAR / (2.0 * length * dt))
    turn = Turn(2.0 * dt / HBAR, damping, length * before[:, SPINS_OF])
    for _ in range(20):
        turn.by(deviation * normals(seed, 1, SPINS, ids))
    np.testing.assert_allclose(length * after[:, SPINS_OF], turn.after, rtol=0.0, atol=1e-10)
    assert np.abs(turn.after - turn.before).max() > 1e-3


def test_minimisation_of_spins_works_beside_it(lammps):
    said = lammps(
        setting()
        + "fix dynamics all spinpot temperature 10 damping 0.1 seed 3\n"
        + "thermo_style custom step pe fnorm\nthermo_modify format float %.17g\nthermo 100\n"
        + "min_style spin\nmin_modify alpha_damp 1.0 discrete_factor 10.0\n"
        + "minimize 1e-10 1e-10 500 1000\nrun 1\n"
    )
    assert thermo(said)[0][-1, 1] < thermo(said)[0][0, 1] - 1e-3


def test_a_minimisation_turns_spins_into_the_field(lammps):
    ends = []
    for field in ("0 0 0", "20000 0 0"):
        lammps(
            setting()
            + f"fix dynamics all spinpot field {field}\nfix_modify dynamics energy yes\n"
            + STATE.format(every=1000, file="least.dump")
            + "min_style spin\nmin_modify alpha_damp 1.0 discrete_factor 10.0\nminimize 1e-10 1e-10 50 100\n"
        )
        ends.append(list(read_dump(lammps.folder / "least.dump").values())[-1])
    without, within = (end[:, SPINS_OF][:, 0].mean() for end in ends)
    assert abs(without) < 0.2
    assert within > 0.9
