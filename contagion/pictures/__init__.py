"""Pictures: what the search found, drawn as SVG or PNG. They need the extra ``plot``; nothing else in the package does."""
