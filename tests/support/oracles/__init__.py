"""Independent answers to compare with, written from the papers and not from our sources."""
