"""Chromium driven over its debugging pipe: real keys, the screen of a phone, a sheet of paper.

A script in a page can make none of these; `browser.look` is enough for the rest.
"""

import fcntl
import json
import os
import select
import subprocess
import time
from contextlib import contextmanager

from browser import FLAGS, chromium

CODES = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
SECONDS = 60
LOADED = "new Promise((done) => setInterval(() => document.readyState === 'complete' && done(), 20))"
LOGGED = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


class Tab:
    """A page in a browser."""

    def __init__(self, to_browser, from_browser):
        self.to_browser, self.from_browser = to_browser, from_browser
        self.received, self.number, self.session, self.errors = b"", 0, None, []

    def open(self, address, *, width=1000, phone=None, media="", dark=False):
        """Load an address in a window of this width, or on a phone's screen (width, height), or for `media` "print"."""
        across, high = phone or (width, 900)
        sizes = {"width": across, "height": high, "deviceScaleFactor": 2 if phone else 1, "mobile": bool(phone)}
        self.send("Emulation.setDeviceMetricsOverride", **sizes)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        # What differs by what is behind its # alone would not be loaded again.
        for goal in ("about:blank", address):
            self.send("Page.navigate", url=goal)
            self.evaluate(LOADED)

    def run(self, script):
        """Return what a script returns, the body of an asynchronous function."""
        return self.evaluate(f"(async () => {{ {script} }})()")

    def send(self, method, **params):
        """Send a command and return its result; what the page logs meanwhile is kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("method") in LOGGED and "/favicon.ico" not in str(answer["params"]):
                self.errors.append(answer["params"])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def receive(self):
        """Return the next message of the browser."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.from_browser], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self.from_browser, 1 << 16)
            assert part, "the browser has ended"
            self.received += part
        message, self.received = self.received.split(b"\0", 1)
        return json.loads(message)

    def evaluate(self, expression):
        """Return the value of an expression, or of a promise."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key):
        """Press a key, one of CODES or a character."""
        if key in CODES:
            event = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key]}
            self.send("Input.dispatchKeyEvent", type="rawKeyDown", **event)
        else:
            event = {"key": key}
            self.send("Input.dispatchKeyEvent", type="keyDown", text=key, **event)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)
        self.evaluate("new Promise((done) => setTimeout(done, 50))")


@contextmanager
def tab(folder):
    """Start a browser with its profile in `folder`, for any number of pages; fails where one logged anything."""
    # In the browser the pipe has the numbers 3 and 4, so that here it must have others.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pipe in (os.pipe(), os.pipe()) for end in pipe]
    read_there, write_here, read_here, write_there = ends

    def take_pipes():
        os.dup2(read_there, 3)
        os.dup2(write_there, 4)

    command = [chromium(), *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=take_pipes, pass_fds=(3, 4)) as process:
        try:
            page = Tab(write_here, read_here)
            target = page.send("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Runtime", "Log", "Page"):
                page.send(f"{domain}.enable")
            yield page
            assert not page.errors, page.errors
        finally:
            process.terminate()
    for end in ends:
        os.close(end)
