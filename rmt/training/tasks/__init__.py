"""Tasks for recurrent models: sequences with targets, and what trivial methods reach. NumPy alone, no framework."""

from rmt.training.tasks.base import Split as Split
from rmt.training.tasks.base import Task as Task
