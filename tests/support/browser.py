"""Pages in a real browser, headless and without network: requests, drawings, errors and layout."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LOOK = """async () => {
  const pictures = [...document.querySelectorAll("img, svg:not([aria-hidden=true])")];
  await Promise.allSettled(pictures.map((picture) => picture.decode?.()));
  const words = (one) => one.alt ?? one.getAttribute("aria-label") ?? one.querySelector("title")?.textContent;
  return {
    pictures: pictures.map((one) => ({
      words: words(one) ?? "", shown: getComputedStyle(one).display !== "none", kind: one.className,
      width: one.naturalWidth ?? one.clientWidth,
    })),
    content: document.documentElement.scrollWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    text: document.body.innerText,
  };
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser of the system; skips the test where there is none, or no playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install playwright)"
    )
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs a browser: install chromium (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path) -> Iterator[tuple[Any, list[str]]]:
    """A page of playwright, and what is wrong with it: messages of the console, errors, requests."""
    page, wrong = browser.new_page(offline=True), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page, wrong
    page.close()


def look(page: Any, width: int, dark: bool = False) -> dict[str, Any]:
    """What is to be seen of an open page in a window of some pixels, by day or by night."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if dark else "light")
    return page.evaluate(LOOK)
