#!/bin/bash
# NumPy 2.4.6: numpy.save of a small array raises no exception if the disk or the quota is full.
# Example: of a file that may have 300 bytes, 300 of 528 bytes are written, without an exception. ndarray.tofile passes
# the data to the stdio of C, whose buffer of 4096 bytes is written when the file is closed; the error of closing is not
# checked. A larger array raises OSError('5000 requested and 21 written'). Seen with Python 3.11 on Linux.
# Exits with 0 while this holds, and with 1 when it has changed.
set -e
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" install -q numpy==2.4.6
cat > "$T/save.py" <<'P'
import os, resource, sys
import numpy as np

file = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
said = {}
for numbers in (50, 5000):
    try:
        np.save(file, np.zeros(numbers))
        said[numbers] = f"no error, {os.path.getsize(file)} of {128 + 8 * numbers} bytes"
    except OSError as error:
        said[numbers] = repr(error)
sys.stdout.write(f"NumPy {np.__version__}: {said}\n")
sys.stdout.flush()
sys.exit(said[50] != "no error, 300 of 528 bytes")
P
set +e
"$T/venv/bin/python" "$T/save.py" "$T/x.npy" | cat
exit "${PIPESTATUS[0]}"
