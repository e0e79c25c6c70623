"""How docstrings look on the site: lines `name: what it is` become a list."""

import re
from typing import Any

from griffe import Extension, Object

ITEM = re.compile(r"^([a-z_]\w*): ", re.MULTILINE)
TEXT_BEFORE_ITEM = re.compile(r"^((?!- |    ).+)\n(?=- `)", re.MULTILINE)


class ListsOfArguments(Extension):
    """An extension of griffe, which reads the sources."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of a class, a function or an attribute."""
        if obj.docstring:
            obj.docstring.value = listed(obj.docstring.value)


def listed(docstring: str) -> str:
    """A docstring with its arguments as a list in Markdown."""
    items = TEXT_BEFORE_ITEM.sub(r"\1\n\n", ITEM.sub(r"- `\1`: ", docstring))
    return re.sub(r"^Raises ", "\nRaises ", items, flags=re.MULTILINE)
