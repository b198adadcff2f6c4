"""Readers: from a file or folder of the user's to arrays, a format a file.

Each takes a path and `DataOptions` and gives arrays by the names `arrays_task` knows. None loads
anything pickled, or more than the machine has memory for; `find_reader` knows which is whose.
"""

from dashzoo_search.tasks.readers.find import FORMATS, SUFFIXES, find_reader

__all__ = ["FORMATS", "SUFFIXES", "find_reader"]
