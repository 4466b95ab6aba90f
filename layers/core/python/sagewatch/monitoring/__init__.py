"""When a monitoring job is due, on which captures, with what it is told; and what its schedule says of it (pure)."""
