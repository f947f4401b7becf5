"""Running maps: iteration, outcome rules, axes and the batched evaluator."""
