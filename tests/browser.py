"""A real browser for tests of pages: headless Chromium on a file, with a script of the test's at the page's end."""

import html
import json
import os
import re
import secrets
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No first-run page, no updates, no traffic of its own.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-component-update",
    "--disable-background-networking",
    "--enable-logging=stderr",
    "--no-first-run",
)


def chromium():
    """Return the browser's path; without one the test is skipped, or fails where RMT_REQUIRE_BROWSER is set."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("RMT_REQUIRE_BROWSER"):
        pytest.fail("a browser is required here (RMT_REQUIRE_BROWSER), and none is installed")
    if found is None:
        pytest.skip("no Chromium here; on Debian: apt install chromium")
    return found


@contextmanager
def serving(folder):
    """Serve a folder by HTTP on this machine alone, and yield its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def look(page, script, tmp_path, *, width=1000, dark=False):
    """Open the file `page`, run `script`, a function body that returns what JSON can hold; return that.

    Fails where the page logs an error, or asks for anything outside of itself.
    """
    ending = (
        f"<script>addEventListener('load', async () => {{ const answer = await (async () => {{ {script} }})();"
        "const place = document.createElement('pre'); place.id = 'answer'; place.textContent = JSON.stringify(answer);"
        "document.body.append(place); });</script></body>"
    )
    text = page.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    copy = page.with_name(f"looked-at-{secrets.token_hex(4)}-{page.name}")
    # A page without scripts of its own forbids them; this one is the test's.
    allowed = "style-src 'unsafe-inline'; script-src 'unsafe-inline'\""
    text = text.replace("style-src 'unsafe-inline'\"", allowed)
    copy.write_text(text.replace("</body>", ending), encoding="utf-8")
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [chromium(), *FLAGS, *theme, f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    copy.unlink()
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not errors, errors
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert answer is not None, done.stderr[-2000:]
    return json.loads(html.unescape(answer[1]))
