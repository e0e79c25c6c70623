"""The exception for wrong input, as opposed to a defect of the program."""

from importlib.util import find_spec


class InputError(Exception):
    """The user's input cannot be used.

    It is not a ValueError, so that code that catches a library's ValueErrors never catches it.

    The message says what was wrong, where (file, frame, atom or config key), what was expected and what
    to do. The commands print it without a traceback and exit with code 1.
    """


def require(holds: object, key: str, value: object, expected: str) -> None:
    """Raise InputError unless `holds`; key: the setting, such as `model.descriptor.rcut`."""
    if not holds:
        raise InputError(f"{key}={value}: expected {expected}")


def require_package(who: str, package: str, extra: str) -> None:
    """Raise InputError unless an optional package is installed; extra: the spinpot extra that installs it."""
    if find_spec(package.replace("-", "_")) is None:
        raise InputError(
            f"{who} needs the package {package}: pip install -c constraints.txt -e '.[{extra}]'."
        )


class TrainingError(RuntimeError):
    """A run had to stop; the message says at which step, on which frames, and what to do."""
