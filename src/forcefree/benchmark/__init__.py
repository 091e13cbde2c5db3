"""Published benchmarks under their own protocols, by one command each."""
