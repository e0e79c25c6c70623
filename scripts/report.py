"""`spinpot report`."""

from spinpot.cli import main

if __name__ == "__main__":
    main("report")
