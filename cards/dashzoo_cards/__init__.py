"""Tell: facts, figures and the model card of a bundle.

`dashzoo_cards.facts.load_facts` reads a bundle, `dashzoo_cards.render.write_card` writes its
card and figures, `dashzoo_cards.render.check_card` says where card and files disagree. The
room reads files only: it needs no torch and runs no network.
"""
