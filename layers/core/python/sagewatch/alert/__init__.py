"""Who is told what and why, and how it reads on each channel."""
