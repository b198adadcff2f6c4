"""How a supernet is searched: two methods behind `dashzoo_search.search.search_kernels`.

`paths` (the default) trains one sampled kernel a layer and step, and moves a layer away from the
backbone's own kernel only where held-out data says so by more than noise. `mixture` is DASH: every
layer a weighted sum of all its choices. `judge` measures what a restriction costs on held-out
samples, `decide` turns such measurements into a choice.
"""
