"""Force-free molecular dynamics."""
