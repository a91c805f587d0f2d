"""The small world: scenes, their captions and pictures, prompts and how to parse them, data sets, batches."""
