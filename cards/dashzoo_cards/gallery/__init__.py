"""A gallery: a shelf of bundles as a static site, for any host that serves files."""
