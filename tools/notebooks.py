"""Execute notebooks, in place, and keep their outputs: `make notebooks`.

python -m tools.notebooks NOTEBOOK...
"""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

SECONDS = 300  # at most, for one cell

# All that is kept of the metadata: nothing of the machine, its versions or its clock.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@contextmanager
def homeless():
    """Let Jupyter and IPython write into a temporary directory, and read no settings of the user."""
    with tempfile.TemporaryDirectory() as home:
        names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        before = dict(os.environ)
        os.environ.update({name: os.path.join(home, name) for name in names}, JUPYTER_PLATFORM_DIRS="1")
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def execute(path):
    """Return the notebook with the outputs of a fresh execution, in a kernel of this interpreter."""
    with homeless():
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        folder = {"metadata": {"path": str(Path(path).resolve().parent)}}
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            resources=folder,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=40"],
        )
        client.execute()
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def main(paths):
    """Execute each notebook, and write it back."""
    import nbformat

    for path in paths:
        nbformat.write(execute(path), path)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
