"""An experiment file as a module, made from its text: by the command that reads it, and again by each worker."""

from __future__ import annotations

import ast
import io
import linecache
import sys
import types
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """The text of an experiment file. Workers run this text, and not whatever the file holds by then.

    Parameters
    ----------
    path : str
        Where the file was; it may import its neighbours there.
    source : str
        What it held.
    """

    path: str
    source: str

    @property
    def name(self) -> str:
        """Name of the module: functions of the file are known by it, wherever the file lies."""
        return f"experiment_{Path(self.path).stem.replace('.', '_')}"  # a dot would make it a part of a package

    @property
    def docstring(self) -> str:
        """What the file says of itself."""
        return ast.get_docstring(ast.parse(self.source)) or ""

    def execute(self) -> types.ModuleType:
        """Return the module, made from the text unless it is there already."""
        known = sys.modules.get(self.name)
        if getattr(known, "__rmt_program__", None) == self:
            assert known is not None
            return known
        module = types.ModuleType(self.name)
        module.__file__ = self.path
        folder = str(Path(self.path).resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)
        # The source of a function, which is part of a cell's identity, is that of the text which was run.
        lines = io.StringIO(self.source).readlines()  # as Python counts them: a form feed ends no line
        linecache.cache[self.path] = (len(self.source), None, lines, self.path)
        sys.modules[self.name] = module
        exec(compile(self.source, self.path, "exec"), module.__dict__)
        module.__dict__["__rmt_program__"] = self
        return module
