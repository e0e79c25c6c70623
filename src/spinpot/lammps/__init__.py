"""The LAMMPS plugin: build.py builds it for the user's LAMMPS, check.py checks it there."""
