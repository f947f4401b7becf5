"""dynfrac: training runs as iterated maps, analysed as dynamical systems."""
