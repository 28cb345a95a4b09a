"""The log of one call: who computed which file, when and how long. Nothing is decided by it."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rmt.campaign.engines import Engine, describe_engine
from rmt.campaign.numerics import canary, versions
from rmt.campaign.plan import Plan
from rmt.campaign.shards import Shard
from rmt.campaign.store import Store, run_number
from rmt.campaign.work import Result


class Log:
    """Lines of JSON in ``runs/<run>.jsonl``; there is no file before work begins."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.plan = plan
        host = re.sub(r"[^A-Za-z0-9._-]+", "_", platform.node()) or "localhost"
        number = 1 + max(map(run_number, store.runs()), default=0)  # the clock may be wrong, or set back
        self.run = f"{number:04d}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = store.place / "runs" / f"{self.run}.jsonl"

    def begin(self, engine: Engine, arguments: Sequence[str] | None = None) -> None:
        """Say what was asked for, by whom and where; `arguments` are those of the `rmt` command, if one was given."""
        program = self.plan.experiment.program
        self.path.parent.mkdir(exist_ok=True)
        self._write(
            run=self.run,
            time=_now(),
            host=platform.node(),
            pid=os.getpid(),
            file=None if program is None else os.path.abspath(program.path),
            arguments=None if arguments is None else list(arguments),
            options=self.plan.given,
            quick=self.plan.quick,
            samples=self.plan.samples,
            stopping=self.plan.stopping(),
            versions=versions(),
            canary=canary(),
            **describe_engine(engine),
        )

    def committed(self, shard: Shard, result: Result) -> None:
        """Say who computed a file."""
        name = f"{shard.path.parent.name}/{shard.path.name}"
        self._write(shard=name, time=_now(), worker=result.worker, seconds=round(result.seconds, 6))

    def end(self, outcome: str, complete: dict[str, int]) -> None:
        """Say how it ended, and of each complete cell (by its hash) with how many samples it is so."""
        self._write(ended=outcome, time=_now(), complete=complete)

    def _write(self, **line: Any) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
