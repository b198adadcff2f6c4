"""Tell: facts, figures and the model card of a bundle."""
