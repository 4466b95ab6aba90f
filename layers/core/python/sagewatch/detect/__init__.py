"""Segments in, findings raised and cleared out: one detector a file behind the interface in ``detector``.

Pure and deterministic: the same segments folded from the same checkpoint give the same findings, however
often and in whatever order their files arrived. Formulas and their sources stand with each detector.
"""
