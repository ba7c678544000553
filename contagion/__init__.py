"""What happens to a network of traders, assets, stablecoins and exchanges when it is shocked."""
