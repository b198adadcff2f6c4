"""Pages for a browser: one base, one style, nothing fetched from anywhere."""
