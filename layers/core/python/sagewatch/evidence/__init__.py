"""The evidence bundle and the incident page: everything known, on one page that needs nothing else."""
