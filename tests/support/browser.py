"""Pages in a real browser, headless and without network: what it loads, decodes, says and lays out."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

# Before anything else of the page, so that nothing it does goes unseen.
SPY = """<script>
const seen = {errors: [], refused: []};
const told = (event) => seen.errors.push(event.message || event.target.outerHTML.slice(0, 200));
addEventListener("error", told, true);
addEventListener("securitypolicyviolation", (event) => seen.refused.push(event.blockedURI), true);
addEventListener("load", async () => {
  const images = [...document.images];
  await Promise.allSettled(images.map((image) => image.decode()));
  seen.images = images.map((image) => ({
    alt: image.alt, width: image.naturalWidth, shown: getComputedStyle(image).display !== "none",
    kind: image.className,
  }));
  seen.loaded = performance.getEntriesByType("resource").map((entry) => entry.name.slice(0, 100));
  seen.window = innerWidth;
  seen.content = document.documentElement.scrollWidth;
  seen.ground = getComputedStyle(document.body).backgroundColor;
  seen.text = document.body.innerText;
  THEN
  parent.postMessage(seen, "*");
});
</script>
"""

# A frame can be as narrow as a phone, a browser's window cannot.
FRAME = """<!DOCTYPE html>
<meta name="color-scheme" content="light dark">
<script>
addEventListener("message", (event) => {
  const report = document.createElement("pre");
  report.id = "seen";
  report.textContent = JSON.stringify(event.data);
  document.body.append(report);
});
</script>
<iframe src="page.html" width="WIDTH" height="900" style="border: 0"></iframe>
"""


def look(page: Path, folder: Path, width: int = 1200, dark: bool = False, then: str = "") -> dict[str, Any]:
    """What is to be seen of a page: the spy's findings, and the lines of the console.

    folder: an empty one, for the browser. then: JavaScript that runs once all is loaded and may add to
    `seen`. Skips the test where there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a browser: install chromium (apt-get install chromium)")
    watched = page.read_text().replace("<head>", "<head>\n" + SPY.replace("THEN", then), 1)
    (folder / "page.html").write_text(watched)
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    result = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1400,1000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            (folder / "frame.html").resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', result.stdout, re.S)
    assert found, f"the page did not load:\n{result.stdout[:2000]}\n{result.stderr[-2000:]}"
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])) | {"console": console}
