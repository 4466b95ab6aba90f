"""The leased, verified, self-reverting swap: what to do next, decided from what is seen (pure)."""
