"""Campaigns: many samples of many cells, on disk, each fixed by its cell, its index and the root seed."""

from rmt.campaign.cells import Cell as Cell
from rmt.campaign.cells import sample as sample
from rmt.campaign.cells import stream as stream
from rmt.campaign.exporting import export as export
from rmt.campaign.inspection import status as status
from rmt.campaign.loading import load as load
from rmt.campaign.plan import Experiment as Experiment
from rmt.campaign.reading import open_run as open_run
from rmt.campaign.runner import Outcome as Outcome
from rmt.campaign.runner import run as run
from rmt.campaign.verification import verify as verify
