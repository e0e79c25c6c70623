"""`spinpot train` (@hydra.main: Hydra completes the arguments of scripts that have these words)."""

from spinpot.cli import main

if __name__ == "__main__":
    main("train")
