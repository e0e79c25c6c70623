"""spinpot's models in LAMMPS: the plugin is built (build.py) and tried (check.py) in the user's LAMMPS."""
