"""minit2i: text-to-image from scratch, small enough to read and to train on a laptop."""
