"""A monitoring job's output, AWS's and our own alike: which job it was, what it found, why it failed (pure)."""
