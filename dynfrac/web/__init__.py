"""The explorer: a local web page on which a boundary is walked through."""
