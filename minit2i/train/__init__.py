"""How the networks of the core are trained: a recipe each, and `run`, which carries one out."""
