"""How a supernet is searched: three methods behind `dashzoo_search.search.search_kernels`.

`paths` (the default) trains one sampled kernel a layer and step, and moves a layer away from where
it stands only where held-out data says so by more than noise. It starts from the backbone's own
kernels, or from where a `scout` points: a wide network under a group `lasso`. `anchors` holds where
each layer stands, `judge` measures on held-out samples what a change costs, `decide` turns such
measurements into a choice.

`mixture` is DASH: every layer a weighted sum of all its choices. `anneal` cools it, `shrink` (with
`narrow`) drops what is hopeless, `settling` sees when it has made up its mind, and
`dashzoo_search.derive` turns it into a spec.

`xd` searches over operations, not kernels: convolutions become XD-operations whose transforms learn
beside the weights. There is nothing to choose, and the spec only says which layers they are.

`price` sets what kernels cost against what they gain; `found` is what all hand back.
"""
