"""`--help` shows the comment of every setting, and every setting has a comment."""

import re

import pytest
from omegaconf import OmegaConf

from spinpot.cli.describe import comments
from support.configs import CONFIGS
from support.in_process import run_here, the_message

FILES = sorted(file for file in CONFIGS.rglob("*.yaml") if file.stem != "wandb_sweep")


def settings(node, prefix=""):
    """The dotted keys of what a file sets, but for what it builds and what is Hydra's."""
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from settings(value, f"{prefix}{name}.")
        elif not name.startswith("_"):
            yield f"{prefix}{name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIGS)))
def test_every_setting_has_a_meaning(file):
    contents = OmegaConf.to_container(OmegaConf.load(file))
    for name in ("defaults", "hydra"):
        contents.pop(name, None)
    said = dict(comments(file))
    prefix = "".join(f"{part}." for part in file.parent.relative_to(CONFIGS).parts)
    if "@package _global_" in file.read_text():
        prefix = ""
        said = {key: text for other in FILES for key, text in comments(other) if text}
    elif "defaults:" in file.read_text():
        said = {key: text for other in file.parent.glob("*.yaml") for key, text in comments(other) if text}
    assert not [key for key in settings(contents, prefix) if not any(map(said.get, within(key, prefix)))]


def within(key, prefix):
    """The key, and the sections of the file that it is in: what is said of one holds for all in it."""
    parts = key.removeprefix(prefix).split(".")
    return [prefix + ".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def shown(command, *arguments, cwd):
    result = run_here(f"{command}.py", *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("command", ["train", "evaluate", "audit", "label", "learn", "analyze"])
def test_the_help_of_a_command(tmp_path, command):
    first, *lines = shown(command, "--help", cwd=tmp_path).splitlines()
    assert f"`spinpot {command} " in first
    said = {line.partition("=")[0]: line.partition("  ")[2] for line in lines if re.match(r"[\w./]+=", line)}
    assert len(said) > 1
    assert all(said.values())


def test_what_the_options_of_recipes_are_for(tmp_path):
    lines = shown("train", "--help", "sweep", "experiment", "debug", cwd=tmp_path).splitlines()
    assert all(re.match(r"(sweep|experiment|debug)=\w+ +\w.*", line) for line in lines)
    prefactors = "Prefactors of the magnetic forces, at the start and at the end"
    assert f"{'sweep=prefactors':44}  {prefactors}" in lines


def test_a_section_of_what_is_composed(tmp_path):
    (tmp_path / "mine" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "loss" / "own.yaml").write_text("defaults:\n  - ener_spin\nloss_func: huber\n")
    asked = ["--help", "--config-dir", "mine", "loss", "optimizer.every", "loss=own", "optimizer=soap"]
    lines = shown("train", *asked, cwd=tmp_path).splitlines()
    assert f"{'loss.loss_func=huber':44}  mse (squared errors), mae (absolute errors) or huber" in lines
    assert lines[-1] == f"{'optimizer.every=10':44}  steps between two updates of the eigenbases"
    assert all(line.startswith(("loss.", "optimizer.every")) for line in lines)
    message = the_message(run_here("train.py", "--help", "lss", cwd=tmp_path))
    assert message == "There is no setting lss. Did you mean loss?"
