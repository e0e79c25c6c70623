"""Numbers in lines of logs: long lines of digits are parsed in linear time."""

import subprocess
import sys

import pytest

MANY = "1234567890 " * 12


@pytest.mark.parametrize(
    ("pattern", "line"),
    [("abacus_log.ROW", f"Fe {MANY}x"), ("vasp.ION", f"1 {MANY}x")],
)
def test_a_line_of_whole_numbers_that_is_no_row(pattern, line):
    """In a process of its own, which would need 10¹² steps if a number could be split anywhere."""
    module, name = pattern.split(".")
    code = f"from spinpot.data.readers.{module} import {name}; print({name}.match({line!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout == "None\n", result.stderr
