"""Dense grids of runs: tiles, the store on disk, and the resumable sweep."""
