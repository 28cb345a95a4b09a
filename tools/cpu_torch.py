"""Print the requirement of a build of PyTorch for the CPU, or an empty line where the pip of this interpreter has none.

On Linux the usual build brings CUDA, gigabytes of it: there, only a build that is labelled +cpu will do.
"""

import re
import subprocess
import sys


def requirement(platform, versions):
    """Return what to install; `versions` is what ``pip index versions torch`` says, newest first."""
    labelled = re.findall(r"[\w.]+\+cpu\b", versions)
    if labelled:
        return f"torch=={labelled[0]}"
    return "" if platform == "linux" else "torch"


if __name__ == "__main__":
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "torch"]
    print(requirement(sys.platform, subprocess.run(command, capture_output=True, text=True, check=False).stdout))
