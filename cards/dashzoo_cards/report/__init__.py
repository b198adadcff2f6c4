"""A run, told in one HTML file: what was recorded beyond the card's facts, drawn and described."""
