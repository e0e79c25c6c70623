"""`spinpot label` (@hydra.main)."""

from spinpot.cli import main

if __name__ == "__main__":
    main("label")
