"""The commands of the command line, a family a file; `cli` puts them together. Nothing here imports more than click before it runs."""
