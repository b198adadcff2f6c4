"""The steps of the main job, each from disk to disk: search → train → export → card.

A file a step; `run` takes them one after another. Any step can be repeated alone: it reads what
the one before it left in the folder.
"""
