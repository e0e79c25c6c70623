"""What to do about each finding of an audit."""

SCALE = (
    "No potential fits these energies and magnetic forces together. If your code writes both parts of the "
    "magnetic force as this multiple of −∂E/∂S, train with loss.label_scale_fm=learned, or the number. "
    "Otherwise compute the labels again."
)
OPPOSITE = (
    "The sign is wrong. Multiply these labels by −1 in the files, so that they are −∂E/∂R, −∂E/∂S, −∂E/∂ε."
)
FAR = (
    "A factor so far from 1 is an error of the data: a wrong unit, a conversion done twice or not at all, or "
    "another quantity. Compare one frame with the output of your code, and correct the files (docs/audit.md, "
    "Convert units)."
)
SEE_UNITS = "The finding “units” names wrong units. Convert the files, then audit again."
COORDINATES = (
    "Coordinates and cell do not seem to be in Å: see the finding “units”. Convert them, then audit again."
)
CONVERT = (
    "Look up the units in the manual of your code, and convert the files (docs/audit.md, Convert units). "
    "spinpot prepare converts units only when it reads the output files of ABACUS, VASP or LAMMPS."
)
DERIVATIVE = (
    "No potential fits both together. Possible causes: different functionals or convergence for energies and "
    "labels, energies without the smearing's entropy term, frames in another order, or a wrong unit. Compare "
    "one frame with the output of your code."
)
UNTESTED = (
    "The test needs energies, and labels for everything that differs between frames: forces if atoms move, "
    "magnetic forces if moments change, the virial if cells differ. Add the missing files, or more frames "
    "close to each other."
)
FEW_FRAMES = "A factor needs at least 8 frames of one system, without outliers. The other checks were made."
UNEXPLAINED = (
    "Look at the other findings first. Then check that energies and labels are of the same frames, in the "
    "same order, from one calculation, and that energies are in eV. If all that is right, the frames are too "
    "far apart for this test."
)
FEW = "Add frames. Best are pairs of frames a small step apart (docs/labels.md, Test the labels of a code)."
VAGUE = f"The standard error is too large for a verdict. {FEW}"
NO_WORK = (
    "The frames hardly differ in this quantity, or its labels are far too small, such as a stress in eV/Å³ "
    "in place of the virial. Check the unit, or add frames that differ more."
)
LENGTHS = (
    "If |S| hardly varies, the energies cannot confirm these labels. Add frames with other lengths of the "
    "moments before you rely on longitudinal predictions; until then compare transverse errors."
)
RELAXED = (
    "This is right if the calculation constrained only the directions of the moments, as label=gpaw does. If "
    "it constrained the lengths too, the longitudinal labels are missing. Then train on the transverse part "
    "only: set start_pref_fm and limit_pref_fm of the loss to 0, and start_pref_fm_transverse and "
    "limit_pref_fm_transverse to their values."
)
NO_MOMENTS = (
    "A spin model learns nothing from these frames. Check that spin.npy was written from the right output."
)
UNOWNED = (
    "Training ignores these labels. Check whether the moments of these atoms were lost; if they are small "
    "but not zero, write them to the files."
)
WITHOUT = "Check whether the moments were lost, or the calculation converged to a non-magnetic state."
SMALL_TILTS = (
    "All frames are nearly collinear. Add tilted moments, or the model learns little about rotations."
)
NET_FORCE = (
    "The forces on all atoms of a frame add up to zero. Possible causes: forces on fixed atoms were set to "
    "zero, atoms are missing, or the real-space grid of the code is too coarse."
)
NET_TORQUE = (
    "Torques add up to zero unless there is spin-orbit coupling, a dipole interaction or an external field. "
    "Without these, check that moments and magnetic forces come from one calculation, in the same order."
)
OUTLIERS = (
    "Check these frames: are they not converged, in another magnetic state, or are atoms too close? "
    "audit.json (output=DIR) lists all. data.exclude leaves frames out of training."
)
CLOSE = (
    "Two atoms are closer than half the sum of their covalent radii. Check coordinates, cell and units of "
    "these frames."
)
DIGITS = (
    "The model cannot be more accurate than the digits of the energies. Export energies in float64 with all "
    "digits, or subtract the atomic energies before rounding."
)
UNITS = (
    "This is a suspicion, no proof. Expected units: Å, eV, μ_B, forces in eV/Å, magnetic forces in eV/μ_B. "
    "If yours differ, convert the files (docs/audit.md, Convert units)."
)
CONTRADICT = "Equal structures must have equal energies and forces. Keep only the frames of one calculation."
REPEATED = "Duplicate frames count twice in the loss; spinpot prepare leaves them out."
LEAKED = (
    "If one of these systems is used to validate or test a training on the other, its errors are "
    "meaningless. Split again with spinpot prepare, which leaves out duplicates."
)
ZEROS = (
    "Missing labels must not be written as zeros: remove the file, or the frames. Forces of a perfect "
    "crystal may be zero."
)
