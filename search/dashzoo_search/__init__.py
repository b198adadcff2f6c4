"""The ground floor: what a searched network is, and how one is found."""
