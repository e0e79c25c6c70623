"""The pages that `make docs` makes: every setting with its meaning, and links that fit the site."""

import sys

import pytest
from omegaconf import OmegaConf

from support.cli import PROJECT
from support.configs import CONFIGS

sys.path.append(str(PROJECT / "scripts"))
from site_settings import Row, rows, settings_page

FILES = sorted(
    file
    for file in CONFIGS.rglob("*.yaml")
    if file.stem != "wandb_sweep" and "@package _global_" not in file.read_text()
)


def settings(node, prefix=""):
    """The dotted keys of a mapping, but for what Hydra reads; a mapping within braces is one value."""
    for name, value in node.items():
        if name.startswith("_") or name in ("defaults", "hydra"):
            continue
        if isinstance(value, dict) and value:
            yield from settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIGS)))
def test_every_setting_has_its_row_and_a_meaning(file):
    prefix = "".join(f"{part}." for part in file.parent.relative_to(CONFIGS).parts)
    keys = list(settings(OmegaConf.to_container(OmegaConf.load(file)) or {}, prefix))
    found = rows(file)
    assert [row.key for row in found if row.meaning in ("", row.unit_and_meaning[0])] == []
    assert all(any(key == row.key or key.startswith(f"{row.key}.") for row in found) for key in keys)
    assert len({row.key for row in found}) == len(found)


def test_the_page_has_every_group_and_option():
    page = settings_page()
    for file in FILES:
        if file.parent != CONFIGS:
            assert f"#### {file.parent.relative_to(CONFIGS)}={file.stem}\n" in page
    assert "| `loss.huber_delta` | `0.01` |" in page


@pytest.mark.parametrize(
    ("said", "unit", "meaning"),
    [
        ("Å, the cutoff", "Å", "the cutoff"),
        ("Å", "Å", "Å"),
        ("Å and μ_B, within which", "Å and μ_B", "within which"),
        ("of the atoms, 1/fs", "1/fs", "of the atoms, 1/fs"),
        ("Kelvin is no unit here", "", "Kelvin is no unit here"),
    ],
)
def test_the_unit_of_a_setting(said, unit, meaning):
    assert Row("key", "0", said).unit_and_meaning == (unit, meaning)


def test_links_fit_the_site():
    pytest.importorskip("mkdocs")
    from site_hooks import on_page_markdown

    def shown(markdown):
        return on_page_markdown(markdown, None, None, None)

    assert shown("[a](docs/gpu.md#b), [c](../BENCHMARKS.md)") == "[a](gpu.md#b), [c](BENCHMARKS.md)"
    assert shown("See docs/gpu.md (docs/learn.md).").startswith("See [GPUs](gpu.md) ([")
    for code in ("`docs/gpu.md`", "```\nless docs/gpu.md\n```"):
        assert shown(code) == code


def test_arguments_in_docstrings_are_a_list():
    pytest.importorskip("griffe")
    from site_docstrings import listed

    said = "It reads.\n\nText: of it.\npath: a file,\n    or a folder.\ndevice: where.\nRaises an error."
    items = "- `path`: a file,\n    or a folder.\n- `device`: where."
    assert listed(said) == f"It reads.\n\nText: of it.\n\n{items}\n\nRaises an error."
