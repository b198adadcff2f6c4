"""The honest panel: a searched network beside its rivals, on equal terms, over several seeds.

`contestants` lists who takes part, a `Round` is what those of one seed share, `rounds` plays them
and keeps what is finished, `statistics` says what the rows amount to.
"""
