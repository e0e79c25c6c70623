"""`spinpot wandb-dashboard`."""

from spinpot.cli import main

if __name__ == "__main__":
    main("wandb-dashboard")
