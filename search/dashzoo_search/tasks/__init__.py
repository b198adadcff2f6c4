"""Tasks: arrays in three disjoint splits, and where they come from.

`load_task` takes a task's name, or a file or folder of the user's, and gives a `Task`.
"""

from dashzoo_search.tasks.load import load_task, register, task_names
from dashzoo_search.tasks.options import DataOptions
from dashzoo_search.tasks.task import SealedSplit, Split, Task

__all__ = [
    "DataOptions",
    "SealedSplit",
    "Split",
    "Task",
    "load_task",
    "register",
    "task_names",
]
