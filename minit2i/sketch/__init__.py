"""A drawing decides where things go: ControlNet."""
