"""LAMMPS dumps: columns of spins, messages and errors."""

import gzip

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.lammps_files import HBAR
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.lammps_text import snapshots
from spinpot.data.readers.reader import Wanted
from support.in_process import run_here

BOX = "ITEM: BOX BOUNDS pp pp pp\n0.0 4.0\n0.0 5.0\n0.0 6.0\n"
DIRECTIONS = [[0.6, 0.0, 0.8], [0.0, 0.0, 1.0], [0.0, -0.8, 0.6]]
LENGTHS = [2.2, 0.0, 1.9]
MOMENTS = np.array(LENGTHS)[:, None] * DIRECTIONS
PLACES = [[0.5, 0.5, 0.5], [2.0, 2.5, 3.0], [0.5, 4.0, 3.0]]
FM = [[30.0, -4.0, 1.0], [0.0, 0.0, 0.0], [-7.0, 2.0, -5.0]]
ORDERS = {
    "deepmd": ("c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6] c_s[7]", [LENGTHS, DIRECTIONS, FM]),
    "lammps": ("c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6] c_s[7]", [DIRECTIONS, LENGTHS, FM]),
    "behind": ("c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6] c_s[7]", [FM, LENGTHS, DIRECTIONS]),
    "named": ("sp spx spy spz", [LENGTHS, DIRECTIONS]),
    "mixed": ("spx spy spz sp", [DIRECTIONS, LENGTHS]),
}
METAL = Wanted(elements=("Ni", "O"))


def dump(
    names, values, types=(1, 2, 1), box=BOX, places=PLACES, coordinates="x y z", order=(2, 0, 1), step=0
):
    """The text of one frame, its atoms in some order; values: lists for one column or for several."""
    columns = [np.reshape(value, (len(places), -1)) for value in (places, *values)]
    rows = [
        " ".join([str(k + 1), str(types[k]), *(f"{x:.10g}" for column in columns for x in column[k])])
        for k in order
    ]
    head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n{box}"
    return head + f"ITEM: ATOMS id type {coordinates} {names} \n" + "\n".join(rows) + "\n"


@pytest.fixture
def read(tmp_path):
    """The systems of a dump's text, and the lines that were said, without the path."""

    def run(text, wanted=METAL, name="x.dump"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        notes = Notes()
        systems = read_frames(path, "auto", wanted, notes)
        return systems, [line.replace(f" ({path})", "") for line in notes]

    return run


@pytest.fixture
def refused(read, tmp_path):
    """The message for a dump that is refused, without its folder."""

    def run(text, wanted=METAL):
        with pytest.raises(InputError) as error:
            read(text, wanted)
        return str(error.value).replace(f"{tmp_path}/", "")

    return run


UNITS = "no ITEM: UNITS: read in LAMMPS' metal units (Å, eV, ps)"
FM_UNUSED = "{0}: not used; to read it, give --forces '{0}' or --magnetic-forces '{0}' or --moments '{0}'"


@pytest.mark.parametrize(
    ("order", "source", "unused"),
    [
        ("deepmd", "c_s[1] · (c_s[2] c_s[3] c_s[4])", ["c_s[5] c_s[6] c_s[7]"]),
        ("lammps", "c_s[4] · (c_s[1] c_s[2] c_s[3])", ["c_s[5] c_s[6] c_s[7]"]),
        ("behind", "c_s[4] · (c_s[5] c_s[6] c_s[7])", ["c_s[1] c_s[2] c_s[3]"]),
        ("named", "sp · (spx spy spz)", []),
        ("mixed", "sp · (spx spy spz)", []),
    ],
)
def test_spins_in_any_order_of_the_compute(order, source, unused, read):
    names, values = ORDERS[order]
    text = dump(names, values) + dump(names, values, order=(1, 2, 0), step=10)
    (system,), said = read(text)
    assert len(system) == 2
    np.testing.assert_allclose(system.spin, [MOMENTS, MOMENTS], atol=1e-9)
    np.testing.assert_allclose(system.coord, [PLACES, PLACES], atol=1e-9)
    assert [system.type_map[t] for t in system.types] == ["Ni", "O", "Ni"]
    assert said == [UNITS, *map(FM_UNUSED.format, unused), f"spin: read from {source}"]


@pytest.mark.parametrize("order", ORDERS)
def test_one_more_column_than_is_used_is_named(order, read):
    names, values = ORDERS[order]
    _, said = read(dump(f"{names} mass", [*values, [58.7, 16.0, 58.7]]))
    assert "mass: not used" in said


def test_columns_that_belong_together_have_one_name(read):
    names, values = ORDERS["named"]
    stress = np.arange(18.0).reshape(3, 6) * 1e5
    members = " ".join(f"c_st[{k}]" for k in range(1, 7))
    _, said = read(dump(f"{names} {members} vx vy vz", [*values, stress, FM]))
    assert said[1:3] == ["c_st: not used", "vx vy vz: not used"]


def test_a_stress_beside_the_spins_of_a_compute(read):
    names, values = ORDERS["lammps"]
    members = " ".join(f"c_st[{k}]" for k in range(1, 7))
    (system,), _ = read(dump(f"{members} {names}", [np.full((3, 6), 1e5), *values]))
    np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)


def test_directions_alone(refused, read):
    text = dump("c_s[1] c_s[2] c_s[3]", [DIRECTIONS])
    assert refused(text) == (
        "x.dump: c_s[1] c_s[2] c_s[3] are directions (length 1), and no column beside them holds lengths. "
        "Dump sp too, or name its column: --moments 'LENGTH c_s[1] c_s[2] c_s[3]'. If the moments are 1 μ_B, "
        "give --moment-unit mu_B; if their lengths are unknown, --moment-unit direction. Both keep the "
        "length 1."
    )
    (system,), said = read(text, Wanted(elements=("Ni", "O"), moment_unit="direction"))
    np.testing.assert_allclose(system.spin[0], DIRECTIONS)
    assert said[-1] == "spin: read from c_s[1] c_s[2] c_s[3]"


def test_two_computes_that_differ(refused, read):
    one, other = "c_a[1] c_a[2] c_a[3] c_a[4]", "c_b[1] c_b[2] c_b[3] c_b[4]"
    turned = np.roll(DIRECTIONS, 1, axis=0)
    text = dump(f"{one} {other}", [LENGTHS, DIRECTIONS, turned, LENGTHS])
    assert refused(text) == (
        "x.dump: several columns can be the spins: c_a[1] · (c_a[2] c_a[3] c_a[4]), c_b[4] · (c_b[1] c_b[2] "
        "c_b[3]). Name those to use: --moments 'c_a[1] c_a[2] c_a[3] c_a[4]' or --moments 'c_b[4] c_b[1] "
        "c_b[2] c_b[3]'."
    )
    for name in ("c_a", "c_a[1] c_a[2] c_a[3] c_a[4]"):
        (system,), _ = read(text, Wanted(elements=("Ni", "O"), columns={"spin": name}))
        np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)
    same = dump(f"{one} {other}", [LENGTHS, DIRECTIONS, DIRECTIONS, LENGTHS])
    (system,), said = read(same)
    np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)
    assert "c_b: not used" in said


def test_one_compute_that_can_be_read_twice(refused):
    along_z = [[1.0, 0.0, 0.0, 1.0]] * 3
    assert "several columns can be the spins" in refused(dump("c_s[1] c_s[2] c_s[3] c_s[4]", [along_z]))


def test_forces_along_the_moments_are_no_lengths(read):
    """Of a ferromagnet along x, fmx is never negative; as a length it would leave no vectors of three."""
    along_x, fm = [[1.0, 0.0, 0.0]] * 3, [[9.0, 0.0, 0.0], [8.0, 0.0, 0.0], [7.0, 0.0, 0.0]]
    names = " ".join(f"c_s[{k}]" for k in range(1, 8))
    for values in ([[2.2, 2.2, 2.0], along_x, fm], [along_x, [2.2, 2.2, 2.0], fm]):
        (system,), _ = read(dump(names, values))
        np.testing.assert_allclose(system.spin[0, :, 0], [2.2, 2.2, 2.0])


def test_other_columns_that_the_user_names(read, refused):
    text = dump("v_x v_y v_z v_l", [DIRECTIONS, LENGTHS])
    assert refused(text) == (
        "x.dump: no spins. Expected a direction of length 1 beside a length ≥ 0, as `compute property/atom "
        "sp spx spy spz` gives them, in columns of one compute or named sp spx spy spz. It has: id type x y "
        "z v_x v_y v_z v_l. If other columns hold the moments, name them: --moments 'LENGTH X Y Z'. For "
        "frames that are not magnetic, give --non-magnetic."
    )
    (system,), _ = read(text, Wanted(elements=("Ni", "O"), columns={"spin": "v_l v_x v_y v_z"}))
    np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)
    (system,), _ = read(
        dump("mx my mz", [MOMENTS]), Wanted(elements=("Ni", "O"), columns={"spin": "mx my mz"})
    )
    np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)
    (system,), _ = read(text, Wanted(elements=("Ni", "O"), non_magnetic=True))
    assert not system.spin.any()


def test_named_columns_that_are_no_directions(refused):
    assert refused(dump("spx spy spz sp", [MOMENTS, LENGTHS])) == (
        "x.dump, frame 0: sp · (spx spy spz): the vectors have lengths from 0 to 2.2, and sp is at least 0. "
        "Expected a direction of length 1 beside a length ≥ 0, as `compute property/atom sp spx spy spz` "
        "gives them. If the vectors are the moments, give --moments 'spx spy spz'."
    )


def test_labels(read):
    names, values = ORDERS["deepmd"]
    forces = [[0.1, -0.2, 0.3], [0.0, 0.5, 0.0], [1.0, 0.0, -1.0]]
    wanted = Wanted(elements=("Ni", "O"), columns={"force_mag": "c_s[5] c_s[6] c_s[7]"})
    (system,), said = read(dump(f"{names} fx fy fz", [*values, forces]), wanted)
    np.testing.assert_allclose(system.force[0], forces)
    lengths = np.array([2.2, 1.0, 1.9])[:, None]
    np.testing.assert_allclose(system.force_mag[0], np.array(FM) * HBAR / lengths, atol=1e-12)
    assert said == [
        UNITS,
        "fx fy fz: the forces of LAMMPS' own potential and fixes, eV/Å",
        "c_s[5] c_s[6] c_s[7]: read as LAMMPS' fm (rad/ps), times ħ/|S| for eV/μ_B",
        "spin: read from c_s[1] · (c_s[2] c_s[3] c_s[4])",
        "force: read from fx fy fz",
        "force_mag: read from c_s[5] c_s[6] c_s[7]",
    ]


def test_boxes(read):
    names, values = ORDERS["named"]
    tilted = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n0.1 6.1 1.0\n-0.8 5.2 1.0\n0.3 6.3 -1.0\n"
    cell = [[4.0, 0, 0], [1.0, 5.0, 0], [1.0, -1.0, 6.0]]
    scaled = [[0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.9, 0.1, 0.7]]
    for coordinates, places in (
        ("xs ys zs", scaled),
        ("x y z", np.array(scaled) @ cell + [0.1, 0.2, 0.3]),
        ("xu yu zu", np.array(scaled) @ cell + [0.1, 0.2, 0.3]),
    ):
        (system,), _ = read(dump(names, values, box=tilted, places=places, coordinates=coordinates))
        np.testing.assert_allclose(system.box[0], cell, atol=1e-9)
        np.testing.assert_allclose(system.coord[0], np.array(scaled) @ cell, atol=1e-9)


@pytest.mark.parametrize(
    ("flags", "pbc"), [("pp ff ss", (True, False, False)), ("pp pp fs", (True, True, False)), ("", None)]
)
def test_what_is_periodic(flags, pbc, tmp_path):
    text = dump(*ORDERS["named"], box=BOX.replace("pp pp pp", flags))
    (tmp_path / "x.dump").write_text(text)
    (snapshot,) = snapshots(tmp_path / "x.dump", Notes())
    assert snapshot.pbc == pbc


def test_a_dump_that_does_not_say_what_is_periodic(read):
    _, said = read(dump(*ORDERS["named"], box=BOX.replace("pp pp pp", "")))
    assert said[1] == "ITEM: BOX BOUNDS without boundary flags: read as periodic in all directions"


def test_computes_of_a_general_triclinic_box_are_turned(read):
    """LAMMPS writes positions, velocities and forces along a, b, c as given, and computes as it has them."""
    cell = np.array([[1.0, 3.5, 0.5], [-0.5, 2.5, 3.0], [3.2, 0.3, -0.4]])
    box = "ITEM: BOX BOUNDS abc origin pp pp pp\n" + "".join(
        " ".join(map(str, (*vector, corner))) + "\n"
        for vector, corner in zip(cell, (0.1, 0.2, 0.3), strict=True)
    )
    directions = [[0.272165527, 0.4737364242, 0.8375558049], [0.1360827635, 0.9073580705, 0.3977220303]]
    text = dump(
        "c_s[1] c_s[2] c_s[3] c_s[4] fx fy fz",
        [[2.0, 0.0], directions, [[1.0, 0, 0], [-1.0, 0, 0]]],
        types=(1, 2),
        box=box,
        places=[[0.4, 0.5, 0.6], [2.5, 3.2, 2.1]],
        order=(0, 1),
    )
    (system,), said = read(text)
    np.testing.assert_allclose(system.spin[0, 0], [1.2, 0.0, 1.6], atol=1e-8)
    np.testing.assert_allclose(system.force[0], [[1.0, 0, 0], [-1.0, 0, 0]])
    np.testing.assert_allclose(system.coord[0, 0], [0.3, 0.3, 0.3], atol=1e-9)
    np.testing.assert_allclose(system.box[0], cell)
    assert said[1] == "general triclinic box: vectors of computes are rotated as LAMMPS rotated the positions"


def test_names_and_compression(read):
    names, values = ORDERS["deepmd"]
    text = dump(names, values)
    for name in ("traj.lammpstrj", "no_known_name.txt", "dump.7"):
        (system,), _ = read(text, name=name)
        np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)
    (system,), _ = read(gzip.compress(text.encode()), name="run.gz")
    np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)


@pytest.mark.parametrize("part", [0.12, 0.4, 0.6, 0.95])
def test_frames_that_are_cut_off(part, read, refused):
    names, values = ORDERS["named"]
    whole, next_one = dump(names, values), dump(names, values, step=10)
    cut = next_one[: int(part * len(next_one))]
    for text in (whole + cut, whole + cut + dump(names, values, step=20)):
        (system,), said = read(text)
        assert len(system) == text.count("ITEM: ATOMS") - ("ITEM: ATOMS" in cut)
        assert "1 frame left out: incomplete, as a killed run leaves them" in said
        within_a_line = text.endswith(cut) and not cut.endswith("\n")
        assert ("the file ends within a line, which is not read" in said) == within_a_line
    assert refused(cut).startswith("x.dump: no complete frame in it, 1 cut off.")


def test_a_damaged_line_costs_its_frame(read):
    whole = dump(*ORDERS["named"])
    (system,), said = read(
        whole + whole.replace("\n1 1 0.5 0.5", "\n1 1 0.5") + whole + whole.replace("0.6", "")
    )
    assert len(system) == 2
    assert "2 frames left out: incomplete, as a killed run leaves them" in said


def test_a_compressed_file_that_is_cut_off(read):
    names, values = ORDERS["named"]
    rng = np.random.default_rng(1)
    text = "".join(dump(names, values, places=rng.random((3, 3))) for _ in range(300))
    (system,), said = read(gzip.compress(text.encode())[:-20])
    assert 100 < len(system) < 300
    assert "the compressed file is cut off" in said


def test_a_compressed_file_that_is_damaged(refused):
    packed = bytearray(gzip.compress(dump(*ORDERS["named"]).encode() * 50))
    packed[len(packed) // 2] ^= 0xFF
    assert refused(bytes(packed)).startswith("x.dump: the compressed file is damaged (")


def test_units_and_time(read, refused):
    names, values = ORDERS["named"]
    text = "ITEM: UNITS\nmetal\nITEM: TIME\n0.0\n" + dump(names, values)
    (system,), said = read(text + "ITEM: TIME\n1.0\n" + dump(names, values, step=1000))
    assert len(system) == 2
    assert said == ["spin: read from sp · (spx spy spz)"]
    assert refused(text.replace("metal", "real")) == (
        "x.dump: its units are real. Expected metal (Å, eV, ps), as LAMMPS' spin styles do. Convert it, or "
        "run LAMMPS in metal units."
    )


def test_elements(read, refused):
    names, values = ORDERS["named"]
    text = dump(names, values)
    assert refused(text, Wanted()) == (
        "x.dump, frame 0: the dump has types but no elements. Name the elements: --elements Ni O."
    )
    assert refused(text, Wanted(elements=("Ni",))) == (
        "x.dump, frame 0: it has types from 1 to 2, but --elements names 1: Ni. Name one for each type, in "
        "order."
    )
    named = dump(names, values, types=("1 Ni", "2 O", "1 Ni")).replace("id type", "id type element")
    (system,), _ = read(named, Wanted())
    assert [system.type_map[t] for t in system.types] == ["Ni", "O", "Ni"]
    assert refused(named, Wanted(elements=("O", "Ni"))) == (
        "x.dump, frame 0: type 1 is O by --elements O Ni, and Ni by the column element. Name the elements in "
        "the order of the types."
    )
    default = dump(names, values, types=("1 C", "2 C", "1 C")).replace("id type", "id type element")
    (system,), _ = read(default)  # what LAMMPS writes without `dump_modify element`
    assert [system.type_map[t] for t in system.types] == ["Ni", "O", "Ni"]
    assert "the dump has types but no elements" in refused(default, Wanted())
    alone = dump(names, values, types=("C", "C", "C")).replace("id type", "id element")
    assert "no column type, and every element is C" in refused(alone)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("id type", "number type"),
            "x.dump, frame 0: no column id, and LAMMPS' order of atoms changes from frame to frame. It has: "
            "number type x y z sp spx spy spz. Dump id too; or add the column, if the run had `dump_modify "
            "sort id`.",
        ),
        (
            ("id type", "id kind"),
            "x.dump, frame 0: no column type. It has: id kind x y z sp spx spy spz. Dump type, or element "
            "with `dump_modify element`.",
        ),
        (
            ("x y z", "a b c"),
            "x.dump: no positions. Expected the columns x y z or xu yu zu or xs ys zs or xsu ysu zsu. It "
            "has: id type a b c sp spx spy spz.",
        ),
        (
            ("\n3 1", "\n1 1"),
            "x.dump, frame 0: two atoms have the id 1. Expected each id once; correct the file.",
        ),
        (
            ("ATOMS\n3", "ATOMS\n2"),
            "x.dump, frame 0: 3 lines of atoms, but ITEM: NUMBER OF ATOMS is 2. Correct it.",
        ),
        (
            (" 2.5 ", " x.5 "),
            "x.dump, frame 0: column y: could not convert string to float: 'x.5'. Correct the file.",
        ),
        (
            ("\n2 2", "\n2 1.5"),
            "x.dump, frame 0: type 1.5. Expected whole numbers from 1 on. Correct the dump.",
        ),
        (
            ("ITEM: BOX", "ITEM: OTHER"),
            "x.dump: ITEM: OTHER BOUNDS pp pp pp does not belong to a dump of atoms.",
        ),
        (("0.0 5.0\n", ""), "x.dump, frame 0: ITEM: BOX BOUNDS pp pp pp has (2, 2) numbers. Correct it."),
    ],
)
def test_what_is_refused(change, said, refused):
    names, values = ORDERS["named"]
    assert refused(dump(names, values).replace(*change)).startswith(said)


def test_frames_with_other_columns(read):
    """As after `cat`: each decides for itself."""
    one, other = (dump(*ORDERS[order]) for order in ("lammps", "named"))
    systems, _ = read(one + other)
    assert [len(system) for system in systems] == [1, 1]
    for system in systems:
        np.testing.assert_allclose(system.spin[0], MOMENTS, atol=1e-9)


def test_from_the_command_line(tmp_path):
    names, values = ORDERS["lammps"]
    (tmp_path / "dump.iron").write_text(dump(names, values))
    result = run_here("prepare_data.py", "dump.iron", "out", "--elements", "Ni", "O", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "spin: read from c_s[4] · (c_s[1] c_s[2] c_s[3]) (dump.iron)" in result.stdout
    spin = np.load(tmp_path / "out" / "dump" / "set.000" / "spin.npy")
    np.testing.assert_allclose(spin.reshape(3, 3), MOMENTS, atol=1e-9)
