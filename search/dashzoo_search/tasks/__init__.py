"""Tasks: arrays in three disjoint splits, and where they come from.

`load_task` takes a task's name or a file of the user's and gives a `Task`.
"""

from dashzoo_search.tasks.load import load_task, task_names
from dashzoo_search.tasks.task import SealedSplit, Split, Task

__all__ = ["SealedSplit", "Split", "Task", "load_task", "task_names"]
