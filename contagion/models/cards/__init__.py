"""One card a model: what the command line says of it, reads for it and prints."""
