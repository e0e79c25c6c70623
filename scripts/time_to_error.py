"""`spinpot time-to-error`."""

from spinpot.cli import main

if __name__ == "__main__":
    main("time-to-error")
