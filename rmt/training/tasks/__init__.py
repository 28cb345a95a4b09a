"""Tasks for recurrent models: sequences with targets, and what trivial methods reach. No framework is needed."""

from rmt.training.tasks.base import Split as Split
from rmt.training.tasks.base import Task as Task
from rmt.training.tasks.baselines import accuracy as accuracy
from rmt.training.tasks.baselines import nrmse as nrmse
from rmt.training.tasks.loading import TASKS as TASKS
from rmt.training.tasks.loading import load_task as load_task
from rmt.training.tasks.loading import task_function as task_function
