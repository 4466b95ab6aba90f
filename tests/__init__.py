"""Sagewatch's tests; they mirror the package."""
