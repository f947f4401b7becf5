"""Numbers from orbits, labels and points: exponents, dimensions and the fits behind them."""
