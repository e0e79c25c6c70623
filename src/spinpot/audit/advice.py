"""What to do about each finding of an audit."""

SCALE = (
    "No potential can fit energies and magnetic forces at once. Compute the labels again if the factor is a "
    "mistake of theirs; otherwise give it to the loss, loss.label_scale_fm, so that −dE/dS is learnt."
)
OPPOSITE = "The sign is the opposite: labels are −dE/dR, −dE/dS and −dE/dε here. Change it in the files."
DERIVATIVE = (
    "No potential can fit both at once. Look for another unit, another functional or convergence for "
    "energies than for the labels, a smearing whose free energy is meant, or frames in another order."
)
UNTESTED = "Give frames of one composition with the labels of everything that differs between them."
UNEXPLAINED = (
    "Energies and forces do not belong together: look for labels of other frames, energies of another "
    "calculation or unit, or frames too far from each other for this test."
)
FEW = "More frames, or frames that differ more in this, would tell."
LENGTHS = (
    "The energies say nothing about a change of |S|, so that nothing supports these labels. Add frames with "
    "other lengths of the moments before you trust the model's answer to them, and look at transverse errors."
)
RELAXED = (
    "That is right where directions alone were held, as by label=gpaw. If lengths were held "
    "too, these labels are missing, and a model would learn that nothing pulls there: weigh the part across "
    "alone, loss.start_pref_fm_transverse and loss.limit_pref_fm_transverse in place of pref_fm."
)
NO_MOMENTS = (
    "A spin model learns nothing from these frames. Look whether spin.npy was written from the right output."
)
UNOWNED = (
    "Such labels are not learnt. Look whether the moments of these atoms were lost; if they are small but "
    "not zero, write them."
)
WITHOUT = "Look whether the moments were lost; a calculation that has become non-magnetic is another state."
SMALL_TILTS = (
    "All frames are nearly collinear. Add tilted moments, or the model knows little of turning them."
)
NET_FORCE = (
    "Forces of a crystal add up to zero. Look for fixed atoms, drifting grids or labels in another order."
)
NET_TORQUE = (
    "Torques add up to zero unless spin-orbit interaction, dipoles or an outer field hold the moments. "
    "Without these, look whether moments and magnetic forces are of one calculation and in the same order."
)
OUTLIERS = (
    "Look at these frames: not converged, in another magnetic state, or with atoms too close? A "
    "training run leaves out those that data.exclude lists."
)
CLOSE = "Closer than half the sum of the covalent radii. Look at coordinates, cell and units of these frames."
DIGITS = (
    "No model is better than the digits of its energies. Export them in float64 with all digits, or subtract "
    "the atoms' energies before they are rounded."
)
UNITS = "A suspicion, no proof. Expected are Å, eV, μ_B; forces in eV/Å, magnetic forces in eV/μ_B."
CONTRADICT = (
    "Structures that are the same have one energy and the same forces. Keep the frames of one calculation."
)
REPEATED = "Frames that repeat count twice in the loss; spinpot prepare leaves them out."
LEAKED = (
    "If one of them validates or tests the other's training, its errors say nothing. Split again by "
    "spinpot prepare, which leaves out frames that repeat."
)
ZEROS = (
    "A label that is missing must not be written as zeros: remove the file, or the frames. Forces of a "
    "perfect crystal may be zero."
)
