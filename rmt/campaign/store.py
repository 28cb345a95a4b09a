"""The directory of a run: an immutable manifest, the shards of each cell, failures, and a log of each call.

    manifest.json                               what is computed, from which seed; the machine's versions and canary
    shards/<cell>/<start>-<stop>-<sha256>.npy   samples
    failures/<cell>/<index>.json                samples that failed three times
    runs/<run>.jsonl                            who computed what and when; nothing is decided by it
    damaged/                                    files that did not agree with their names

Beside them lie the tables and figures that ``present`` draws. Every file is written under another name, flushed and
renamed. What is done follows from the shards alone: there are no marks and no counters.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmt import checks
from rmt.campaign.cells import STREAM_VERSION
from rmt.campaign.differences import difference, uncompared
from rmt.campaign.identity import digest
from rmt.campaign.numerics import canary, versions
from rmt.campaign.plan import Plan
from rmt.campaign.shards import PARTIAL, DisagreementError, Held, Shards, commit, flush_folder, parse, partials

SCHEMA = 2
MANIFEST = "manifest.json"
OURS = ("shards", "failures", "runs", "damaged")  # folders of the store itself
DIFFERENCES = 4  # named in an error, which is one line


@dataclass(frozen=True)
class Entry:
    """One cell as the manifest has it."""

    label: str
    folder: str
    sha256: str


class Store:
    """The directory of one run; made by `create`, or opened by `Store(directory)`, which changes nothing."""

    def __init__(self, directory: str | os.PathLike) -> None:
        self.directory = Path(directory)
        self.place = self.directory.absolute()  # even where a statistic goes elsewhere
        if not (self.directory / MANIFEST).is_file():
            why = f"it has no {MANIFEST}" if self.directory.is_dir() else "no directory is there"
            raise checks.InputError(f"{self.directory} is no run: {why}")
        self.manifest = read_manifest(self.directory / MANIFEST)
        self.configuration: dict[str, Any] = self.manifest["configuration"]
        self.seed: int = self.configuration["seed"]
        cells = self.configuration["cells"]
        self.entries = [Entry(cell["label"], cell["folder"], cell["sha256"]) for cell in cells]
        self.notes: list[str] = []  # what of a plan could not be compared

    @classmethod
    def create(cls, directory: str | os.PathLike, plan: Plan) -> Store:
        """Make or open the store of `plan`; what is no run of it is refused before anything is touched."""
        directory = Path(directory)
        manifest = directory / MANIFEST
        try:
            if not manifest.exists():
                _refuse_strangers(directory)
                place = directory.absolute()
                made = [path for path in (place, *place.parents) if not path.exists()]
                directory.mkdir(parents=True, exist_ok=True)
                for path in made:
                    flush_folder(path.parent)
                commit(manifest, _manifest_text(plan).encode(), exclusive=True)
            store = cls(directory)
            store._compare(plan)
            _probe(directory)
        except OSError as error:
            raise checks.InputError(f"{directory} cannot be written: {error.strerror or error}") from error
        return store

    def _compare(self, plan: Plan) -> None:
        asked = json.loads(json.dumps(plan.configuration()))
        self.notes = uncompared(self.configuration, asked)
        found = difference(self.configuration, asked)
        if found:
            rest = len(found) - DIFFERENCES
            shown = found if rest <= 0 else [*found[:DIFFERENCES], f"and {rest} more"]
            empty = not any((self.place / "shards").glob("*/*.npy"))
            advice = "choose another --out" + (", or remove it: no sample is in it yet" if empty else "")
            raise checks.InputError(f"{self.directory} holds another run ({'; '.join(shown)}); {advice}")

    def shards(self, entry: Entry) -> Shards:
        """Return the samples of a cell."""
        return Shards(self.place / "shards" / entry.folder, entry.sha256, self.seed)

    def scan(self, entry: Entry, known: Held | None = None) -> Held:
        """Verify the files of a cell, but those of `known`; two that disagree are an error that names their runs."""
        try:
            return self.shards(entry).scan(known)
        except DisagreementError as error:
            first, second = self.author(error.first), self.author(error.second)
            authors = f", written by the runs {first} and {second}"
            raise DisagreementError(error.start, error.stop, error.first, error.second, authors) from None

    def author(self, path: Path) -> str:
        """Return the run that wrote a file, according to the logs; of one that was joined, those of its pieces."""
        shard = parse(path)
        pieces = []
        for run, lines in self.runs().items():
            for line in lines:
                other = parse(self.place / "shards" / str(line.get("shard")))
                if other is None or other.path.parent.name != path.parent.name:
                    continue
                if other.path.name == path.name:
                    return run
                if shard and shard.start < other.stop and other.start < shard.stop and not other.path.exists():
                    pieces.append(run)
        return ", ".join(dict.fromkeys(pieces)) or "unknown"

    def set_aside(self, path: Path) -> Path | None:
        """Move a damaged file to where it does no harm, and return that place; None where another runner was first."""
        folder = self.place / "damaged"
        folder.mkdir(exist_ok=True)
        place = folder / f"{path.parent.name[-16:]}-{path.name[-160:]}"
        if place.exists():
            place = place.with_name(f"{place.name}-{secrets.token_hex(4)}")
        try:
            # It may have been moved, and its samples stored anew under that name, since it was found damaged.
            (entry,) = (entry for entry in self.entries if entry.folder == path.parent.name)
            return None if self.shards(entry).verified(path) else path.replace(place)
        except FileNotFoundError:
            return None

    def tidy(self) -> None:
        """Remove what killed runs left half written; for a run that is complete."""
        shards = self.place / "shards"
        folders = [self.place, *(path for path in shards.glob("*") if path.is_dir())]
        folders += [path for path in (self.place / "failures").glob("*") if path.is_dir()]
        for path in partials(folders):
            path.unlink(missing_ok=True)

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Say on one line what the system has against a file of the store: a full disk, say."""
        try:
            yield
        except OSError as error:
            place = error.filename or self.directory
            reason = f"{place} cannot be written or read: {error.strerror or error}"
            raise checks.InputError(f"{reason}; what was committed is kept, and the same command goes on") from error

    # failures

    def _failure(self, entry: Entry, index: int) -> Path:
        return self.place / "failures" / entry.folder / f"{index}.json"

    def record_failure(self, entry: Entry, index: int, error: str, trace: str, tries: int) -> Path:
        """Record that a sample failed; the cell stays incomplete until it succeeds."""
        path = self._failure(entry, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"cell": entry.label, "sha256": entry.sha256, "seed": self.seed, "index": index}
        text = json.dumps({**record, "tries": tries, "error": error, "traceback": trace}, indent=2)
        commit(path, text.encode() + b"\n")
        return path

    def failures(self, entry: Entry) -> list[int]:
        """Return the indices of the samples whose failure is recorded."""
        folder = self.place / "failures" / entry.folder
        return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())

    def forget_failures(self, entry: Entry, held: Held) -> None:
        """Remove the records of samples that are there by now."""
        for index in self.failures(entry):
            if any(shard.start <= index < shard.stop for shard in held.shards):
                self._failure(entry, index).unlink(missing_ok=True)

    # the log

    def runs(self) -> dict[str, list[dict[str, Any]]]:
        """Return the lines that each call logged, in the order of the calls; a torn last line is left out."""
        found = {}
        paths = (self.place / "runs").glob("*.jsonl")
        for path in sorted(paths, key=lambda path: (run_number(path.stem), path.stem)):
            lines = []
            for text in path.read_text(errors="replace").splitlines():
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    lines.append(line)
            found[path.stem] = lines
        return found

    def asked(self) -> dict[str, int]:
        """Return how many samples of each cell (by its hash) the newest call that had work to do was to have.

        Of a cell that this call completed it is the number with which it did: fewer, where the standard error sufficed.
        """
        counts: dict[str, int] = self.manifest["stopping"]["samples"]
        for lines in self.runs().values():  # in the order in which the calls began
            for line in lines:
                counts = counts | self._counts(_dict(line.get("stopping")).get("samples"))
        return counts | self.completed()

    def completed(self) -> dict[str, int]:
        """Return with how many samples the newest call that had work to do left cells complete, when it ended."""
        lines = next(reversed(self.runs().values()), [])
        return self._counts(next((line["complete"] for line in lines if "complete" in line), None))

    def _counts(self, found: Any) -> dict[str, int]:
        """Return what a log says of the cells of this run; it may hold anything."""
        cells = {entry.sha256 for entry in self.entries}
        return {cell: n for cell, n in _dict(found).items() if cell in cells and isinstance(n, int)}


def run_number(run: str) -> int:
    """Return the number with which the name of a run begins; 0 for one without."""
    number = run.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _dict(value: Any) -> dict[str, Any]:
    """Return `value` if it is a dict; a log may hold anything."""
    return value if isinstance(value, dict) else {}


def _refuse_strangers(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise checks.InputError(f"{directory} is not a directory")
    # A kill before the manifest was in place leaves a partial one, which is ours.
    strangers = [path.name for path in sorted(directory.iterdir()) if PARTIAL not in path.name]
    if strangers and not (directory / MANIFEST).exists():  # else another runner made it just now
        raise checks.InputError(f"{directory} holds {strangers[0]!r} but no {MANIFEST}: choose another --out")


def _probe(folder: Path) -> None:
    """Raise OSError where `folder` cannot be written."""
    probe = folder / f".probe{PARTIAL}{secrets.token_hex(4)}"
    probe.touch(exist_ok=False)
    probe.unlink(missing_ok=True)


# the manifest


def _manifest_text(plan: Plan) -> str:
    configuration = plan.configuration()
    program = plan.experiment.program
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA,
        "stream_version": STREAM_VERSION,
        "dtype": "<f8 or <c16",
        "configuration": configuration,
        "configuration_sha256": digest(configuration),
        "stopping": plan.stopping(),
        "file": None if program is None else program.path,
        "about": "" if program is None else program.docstring,
        "versions": versions(),
        "canary": canary(),
    }
    return json.dumps({**manifest, "sha256": digest(manifest)}, indent=2) + "\n"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest at `path`, once it has been found whole and of this schema."""
    try:
        manifest = json.loads(path.read_bytes())
        whole = manifest["sha256"] == digest({key: value for key, value in manifest.items() if key != "sha256"})
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise checks.InputError(f"{path} is damaged: put it back from a copy, or choose another --out")
    if manifest["schema_version"] != SCHEMA:
        raise checks.InputError(
            f"{path} is of schema {manifest['schema_version']}, this is {SCHEMA}: choose another --out"
        )
    return manifest
