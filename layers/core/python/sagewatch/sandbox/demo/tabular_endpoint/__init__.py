"""What runs in the inference container of the tabular demo; it imports nothing of ours."""
