"""`spinpot sweep-table`."""

from spinpot.cli import main

if __name__ == "__main__":
    main("sweep-table")
