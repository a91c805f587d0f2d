"""Video from words: motions, a planner of paths, layers along time."""
