"""`spinpot learn` (@hydra.main)."""

from spinpot.cli import main

if __name__ == "__main__":
    main("learn")
