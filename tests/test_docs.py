"""Commands on the pages of docs/ that are not run elsewhere are composed, or their options are parsed."""

import re
import shlex
import sys
from argparse import ArgumentParser
from importlib import import_module
from unittest import mock

import pytest

from spinpot.cli import CONFIGURED, PARSED
from support.cli import PROJECT
from support.in_process import run_here

RUN_ELSEWHERE = ("install.md", "train.md", "data.md", "evaluate.md", "tutorial.md")
PAGES = [
    *(page for page in sorted((PROJECT / "docs").glob("*.md")) if page.name not in RUN_ELSEWHERE),
    *(PROJECT / name for name in ("BENCHMARKS.md", "examples/lammps/README.md")),
]
OWN_CONFIGS = "--config-dir"
"""An option of commands with configs that a page tells the reader to write."""


def commands(page):
    """The commands of a page's code blocks, as words behind `spinpot`."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.S | re.M) + re.findall(
        r"(?:^ {4}.*\n)+", text, re.M
    )
    for line in "\n".join(blocks).splitlines():
        if found := re.match(r"\s*(?:srun .*|-m )?spinpot (.*)", line):
            yield shlex.split(found[1], comments=True)


CASES = list(dict.fromkeys((page.name, shlex.join(words)) for page in PAGES for words in commands(page)))


@pytest.mark.parametrize(("page", "command"), CASES)
def test_a_command_of_a_page(page, command, tmp_path):
    name, *arguments = shlex.split(command)
    if OWN_CONFIGS in arguments or "…" in arguments:
        pytest.skip("needs what a reader adds")
    if name in CONFIGURED:
        if "-m" in arguments:  # the first job of a sweep
            arguments.remove("-m")
            arguments = [word if "[" in word else word.partition(",")[0] for word in arguments]
        result = run_here(f"{name}.py", *arguments, "--cfg", "job", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stdout
    else:
        parse(name, arguments)


def parse(name, arguments):
    """Parse the options of a command as it does, and stop before it works."""
    assert name in PARSED
    module = name if name in ("prepare", "benchmark", "lammps") else "tools"
    parse_args = ArgumentParser.parse_args

    def stop(parser):
        parse_args(parser)
        raise StopIteration

    with (
        mock.patch.object(sys, "argv", ["spinpot", *arguments]),
        mock.patch.object(ArgumentParser, "parse_args", stop),
        pytest.raises(StopIteration),
    ):
        getattr(import_module(f"spinpot.cli.{module}"), name.replace("-", "_"))(ArgumentParser())


def test_pages_have_commands():
    assert len({page for page, _ in CASES}) > 10
