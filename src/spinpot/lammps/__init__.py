"""The plugin for LAMMPS: built for the user's own LAMMPS (build.py), and checked there (check.py)."""
