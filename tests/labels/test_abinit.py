"""ABINIT's labeller without ABINIT: the input file, the parsed output, and errors."""

import re
import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.units import Bohr, Hartree

from spinpot.core.errors import InputError
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError
from spinpot.labels.labellers.abinit import AbinitLabeller, read_output, said

HEADER = (
    "Made up  r_core= 1.2\n26.0000 16.0000 171102    zatom,zion,pspd\n8 {functional} 2 4 600 0 pspcod,pspxc\n"
)
CYCLE = """
     iter   Etot(hartree)      deltaE(h)  residm     vres2    diffor    maxfor
 ETOT  1  -243.50000000000    -2.435E+02 1.000E-01 2.000E+03 3.000E-03 3.000E-03
 ETOT 12  -245.25000000000    -1.000E-10 1.000E-06 3.000E-09 7.000E-09 3.000E-08

"""
CONVERGED = " At SCF step   12       vres2   =  3.00E-09 < tolvrs=  1.00E-08 =>converged.\n"
SPHERES = """
 Integrated electronic and magnetization densities in atomic spheres:
 ---------------------------------------------------------------------
 Atom    Radius     Total density     mag(x)      mag(y)      mag(z)   Atomic charge
    1   2.00000       14.000000      {x:.6f}   -0.250000    1.500000      2.000000
    2   2.00000       14.000000      0.000000    0.000000    1.750000      2.000000
 ---------------------------------------------------------------------
 Total magnetization (spheres)       0.500000   -0.250000    3.250000
"""
RESULTS = """
 -outvars: echo values of variables after computation  --------
           etotal     -2.4525000000E+02
            fcart      1.0000000000E-02 -2.0000000000E-02  3.0000000000E-02
                      -1.0000000000E-02  2.0000000000E-02 -3.0000000000E-02
           grspin      5.0000000000E-03 -1.0000000000E-03 -2.0000000000E-03
                      -6.0000000000E-03 -0.0000000000E+00  0.0000000000E+00
           spinat      2.2000000000E+00  0.0000000000E+00  0.0000000000E+00
"""
OUTPUT = CYCLE + CONVERGED + SPHERES.format(x=0.25) + SPHERES.format(x=0.5) + RESULTS


@pytest.fixture
def files(tmp_path):
    """A pseudopotential of LDA, with the pretended command."""
    (tmp_path / "Fe.psp8").write_text(HEADER.format(functional=-1012))
    return tmp_path


def labeller(files, parameters=None, command=sys.executable, **given):
    return AbinitLabeller(
        parameters or {"ecut": 16}, 1.2, pseudopotentials=str(files), command=command, **given
    )


def iron(constrained=(True, True), hold_lengths=False, moved=0.0):
    atoms = bulk("Fe", "bcc", a=2.86, cubic=True)
    atoms.positions[1] += moved
    moments = np.array([[2.2, 0.0, 0.0], [0.0, 0.1, 2.2]])
    return Configuration("Fe2/0000", atoms, moments, np.array(constrained), hold_lengths)


def variables(text):
    """The words of each variable of an input."""
    entries = [entry.split() for entry in re.split(r"\n(?! )", text) if entry]
    return {name: words for name, *words in entries}


def numbers(words):
    return np.array(words, dtype=float)


def test_the_input_of_a_frame(files):
    found = variables(labeller(files, bands=1.25).input_text(iron()))
    np.testing.assert_array_equal(numbers(found["rprim"]).reshape(3, 3), iron().atoms.cell.array / Bohr)
    np.testing.assert_array_equal(numbers(found["xcart"]).reshape(2, 3), iron().atoms.positions / Bohr)
    np.testing.assert_array_equal(numbers(found["spinat"]).reshape(2, 3), iron().moments)
    assert (np.abs(numbers(found["kpt"])) == 0.25).all()
    assert found["nkpt"] == ["8"]
    assert found["nband"] == ["40"]
    assert found["typat"] == ["1", "1"]
    assert found["constraint_kind"] == ["2"]
    assert found["so_psp"] == ["0"]
    assert (found["nspinor"], found["nspden"], found["nsppol"]) == (["2"], ["4"], ["1"])
    assert found["pseudos"] == [f'"{files / "Fe.psp8"}"']
    assert found["ecut"] == ["16"]


def test_vectors_are_held_where_the_recipe_says_so(files):
    found = variables(labeller(files).input_text(iron(hold_lengths=True)))
    assert found["constraint_kind"] == ["1"]


def test_free_atoms_are_a_type_of_their_own(files):
    found = variables(labeller(files).input_text(iron(constrained=(True, False))))
    kinds = [found["constraint_kind"][int(k) - 1] for k in found["typat"]]
    assert kinds == ["2", "0"]
    assert found["znucl"] == ["26", "26"]
    assert len(found["so_psp"]) == len(found["ratsph"]) == 2


def test_an_output_that_converged():
    label = read_output(OUTPUT, 20.0)
    assert label.energy == -245.25 * Hartree
    np.testing.assert_allclose(label.forces[0], np.array([0.01, -0.02, 0.03]) * Hartree / Bohr)
    np.testing.assert_allclose(label.magnetic_forces[0], np.array([-0.005, 0.001, 0.002]) * Hartree)
    np.testing.assert_allclose(label.magnetic_forces[1], np.array([0.006, 0.0, 0.0]) * Hartree)
    np.testing.assert_array_equal(label.moments, [[0.5, -0.25, 1.5], [0.0, 0.0, 1.75]])  # of the last table
    assert label.virial is None
    assert label.details == {"iterations": 12, "seconds": 20.0}


def test_an_output_that_did_not_converge():
    said = r"^not converged after 12 iterations \(residual of the potential 3.000E-09\)$"
    with pytest.raises(FrameError, match=said):
        read_output(OUTPUT.replace(CONVERGED, ""), 20.0)


def test_an_output_without_constraints():
    with pytest.raises(FrameError, match=r"has no grspin: expected ABINIT 9.6 or newer"):
        read_output(OUTPUT.replace("grspin", "gradient"), 20.0)


def test_what_abinit_says_when_it_stops(files):
    stop = "import sys; print('--- !ERROR\\nmessage: |\\n    Too few\\n    bands.\\n...'); sys.exit(14)"
    (files / "stop.py").write_text(stop)
    pretended = labeller(files, command=f"{sys.executable} {files / 'stop.py'}")
    with pytest.raises(FrameError, match=r"^ABINIT: Too few bands\.$"):
        pretended.label(iron(), files)
    assert said(files / "log") == "ABINIT: Too few bands."


def test_a_run_that_stops_without_a_word(files):
    pretended = labeller(files, command=f"{sys.executable} -c 'raise SystemExit(3)'")
    with pytest.raises(FrameError, match=r"^ABINIT stopped with exit code 3$"):
        pretended.label(iron(), files)


def test_a_label_by_a_pretended_abinit(files):
    (files / "output").write_text(OUTPUT)
    copy = f"import shutil; shutil.copy('{files / 'output'}', 'run.abo')"
    (files / "run.py").write_text(copy)
    label = labeller(files, command=f"{sys.executable} {files / 'run.py'}").label(iron(), files)
    assert label.energy == -245.25 * Hartree


def test_the_command_is_missing(files):
    with pytest.raises(InputError, match=r"the command no-abinit was not found.*apt install abinit"):
        labeller(files, command="no-abinit").check([iron()])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"the pseudopotential .*Fe.psp8 for Fe does not exist. Install abinit-data, or give LDA psp8"),
        (HEADER.format(functional=11), "made for functional 11, expected LDA"),
        (HEADER.format(functional=-101130), "made for functional -101130, expected LDA"),
        (HEADER.format(functional=-1012).replace("26.0000", "27.0000"), "element number 27, expected Fe"),
        ("<paw_setup>\n<atom/>\n</paw_setup>\n", "not a psp8 file"),
    ],
)
def test_pseudopotentials_that_cannot_be_used(files, text, said):
    (files / "Fe.psp8").unlink() if text is None else (files / "Fe.psp8").write_text(text)
    with pytest.raises(InputError, match=said):
        labeller(files).check([iron()])


def test_an_element_without_a_named_file(files):
    named = AbinitLabeller({}, pseudopotentials={"Co": "Co.psp8"}, command=sys.executable)
    with pytest.raises(InputError, match=r"label.pseudopotentials: there is no file for Fe"):
        named.check([iron()])


def test_spheres_that_overlap(files):
    labeller(files).check([iron()])
    with pytest.raises(InputError, match=r"label.sphere=2 Bohr: the spheres overlap in Fe2/0000"):
        labeller(files).check([iron(moved=0.3)])
    thin = iron()
    thin.atoms.set_cell([2.0, 6.0, 6.0], scale_atoms=True)
    with pytest.raises(InputError, match=r"two atoms are 2\.000 Å apart"):
        labeller(files).check([thin])


def test_variables_of_the_frame_are_not_the_users(files):
    with pytest.raises(InputError, match=r"label.parameters.nspinor=1: expected to be left out"):
        labeller(files, {"nspinor": 1})
