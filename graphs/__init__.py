"""What the system is: networks of traders, assets, stablecoins and exchanges, their tables, checks, sources and exports."""
