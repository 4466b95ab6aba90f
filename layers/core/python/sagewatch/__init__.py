"""Sagewatch: notices that an ML endpoint went wrong, tells the right person once, and finds out why."""
