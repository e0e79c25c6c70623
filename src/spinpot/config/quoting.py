"""Quotes texts, and lists of texts, for Hydra's command line."""

from collections.abc import Iterable


def quoted(text: str) -> str:
    """A text."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def listed(texts: Iterable[str]) -> str:
    """A list of texts."""
    return f"[{','.join(map(quoted, texts))}]"
