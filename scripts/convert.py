"""Convert by suffix: `python scripts/convert.py INPUT OUTPUT`.

input.json, .yaml → experiment; deepmd-kit's .dp .yaml .pt .pth → .ckpt; .ckpt → .dp, or .pth with --deepmd.
"""

import argparse
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, metavar="INPUT")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    parser.add_argument(
        "--deepmd", metavar="PYTHON", help="an interpreter with deepmd-kit 3.2, to write .pth"
    )
    parser.add_argument(
        "--network-only", action="store_true", help="leave out an exchange term, which only .ckpt can hold"
    )
    arguments = parser.parse_args()
    # Imported here, so that --help answers at once.
    from spinpot.evaluation.convert import convert

    convert(arguments.input, arguments.output, arguments.deepmd, arguments.network_only)


if __name__ == "__main__":
    run_app(main)
