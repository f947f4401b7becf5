"""What is iterated: the map abstraction, toy maps, training maps, models and data."""
