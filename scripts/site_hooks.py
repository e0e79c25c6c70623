"""What `make docs` adds to the files in docs/: home page, settings, pages of the repository's root, links."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_settings import settings_page

ROOT = Path(__file__).parents[1]
ROOT_PAGES = ("ARCHITECTURE.md", "BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(\]\()(?:\.\./|docs/)")
"""How a link from the root to docs/ begins, or one back: on the site all pages are in one folder."""
NAMED = re.compile(
    r"(?<![\w/`\[])(?<!\]\()(?:docs/([\w-]+)\.md|(ARCHITECTURE|BENCHMARKS|CONTRIBUTING)\.md)\b"
)
"""A page that a sentence names without a link."""
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Show a choice of versions in a site that mike deploys; in others there is none to fetch."""
    if "MIKE_DOCS_VERSION" in os.environ:
        config.extra["version"] = {"provider": "mike"}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for name in ROOT_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    files.append(File.generated(config, "index.md", abs_src_path=str(ROOT / "README.md")))
    files.append(File.generated(config, "settings.md", content=settings_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links fit the site, and pages that are named in a sentence links; code stays as it is."""
    parts = CODE.split(markdown)
    parts[::2] = [NAMED.sub(_link, LINK.sub(r"\1", text)) for text in parts[::2]]
    return "".join(parts)


def _link(named: re.Match[str]) -> str:
    name = f"{named[1] or named[2]}.md"
    file = (ROOT / "docs" if named[1] else ROOT) / name
    heading = file.read_text(encoding="utf-8").partition("\n")[0] if file.exists() else name
    return f"[{heading.lstrip('# ')}]({name})"
