"""A parsed page: text, tables, pictures and links."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


class Page(HTMLParser):
    """`text`: all words; `elements`: (tag, attributes); `tables`: caption → rows → texts of the cells."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.values: list[float] = []
        self._open: list[str] = []
        self._words: list[str] = []
        self._caption = ""
        self.feed(source)
        assert not self._open, f"never closed: {self._open}"
        self.text = " ".join(" ".join(self._words).split())

    @classmethod
    def of(cls, path: Path) -> "Page":
        return cls(path.read_text())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._caption = f"table {len(self.tables)}"
            self.tables[self._caption] = []
        if tag == "tr":
            self.tables[self._caption].append([])
        if tag in ("td", "th"):
            self.tables[self._caption][-1].append("")
        if tag == "data":
            self.values.append(float(dict(attrs)["value"]))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if {"style", "script"} & set(self._open):
            return
        self._words.append(data)
        if "caption" in self._open and data.strip():
            rows = self.tables.pop(self._caption)
            self._caption = self._caption if not self._caption.startswith("table ") else ""
            self._caption = f"{self._caption} {data.strip()}".strip()
            self.tables[self._caption] = rows
        if {"td", "th"} & set(self._open):
            cells = self.tables[self._caption][-1]
            cells[-1] = " ".join(f"{cells[-1]} {data}".split())


def assert_self_contained(page: Page) -> None:
    """Nothing of the page comes from elsewhere, and what it is made of is well named."""
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            target = attributes.get(name, "")
            assert not target.startswith(("http:", "https:", "//", "file:")), f"<{tag} {name}={target[:80]}>"
    assert not page.all("link")
    assert "@import" not in page.source
    assert "url(" not in page.source
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert all("src" not in script for script in page.all("script"))
    (root,) = page.all("html")
    assert root["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = [link["href"] for link in page.all("a") if link["href"].startswith("#")]
    assert {href.removeprefix("#") for href in inner} <= set(ids)
