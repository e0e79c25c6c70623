"""What to do about each finding of an audit."""

SCALE = (
    "No potential can fit these energies and magnetic forces together. Recompute the labels if the factor "
    "is an error; otherwise set it in the loss, loss.label_scale_fm, so that the model learns −dE/dS."
)
OPPOSITE = "The sign is wrong: spinpot expects −dE/dR, −dE/dS and −dE/dε. Change the sign in the files."
DERIVATIVE = (
    "No potential can fit both together. Possible causes: a wrong unit, different functionals or "
    "convergence for energies and labels, energies without the smearing's entropy term, or frames in "
    "another order."
)
UNTESTED = "To test the labels, give frames of one composition with labels for everything that changes."
FEW_FRAMES = "A factor needs at least 8 frames of one system, without outliers. The other checks were made."
UNEXPLAINED = (
    "Energies and forces do not match. Possible causes: labels of other frames, energies of another "
    "calculation or in another unit, or frames too far apart for this test."
)
FEW = "To determine the factor, add frames, or frames that differ more in this quantity."
LENGTHS = (
    "|S| does not vary, so the energies cannot confirm these labels. Add frames with other lengths of the "
    "moments before you rely on longitudinal predictions; until then compare transverse errors."
)
RELAXED = (
    "This is right if the calculation constrained only the directions of the moments, as label=gpaw does. If "
    "it constrained the lengths too, the longitudinal labels are missing. Then train on the transverse part "
    "only: set loss.start_pref_fm_transverse and loss.limit_pref_fm_transverse instead of pref_fm."
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
    "The forces in a crystal add up to zero. Possible causes: fixed atoms, errors of the real-space grid, or "
    "labels in another order."
)
NET_TORQUE = (
    "Torques add up to zero unless there is spin-orbit coupling, a dipole interaction or an external field. "
    "Without these, check that moments and magnetic forces come from one calculation, in the same order."
)
OUTLIERS = (
    "Check these frames: are they not converged, in another magnetic state, or are atoms too close? To leave "
    "frames out of training, list them in data.exclude."
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
    "This is a suspicion, no proof. Expected units: Å, eV, μ_B, forces in eV/Å, magnetic forces in eV/μ_B."
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
