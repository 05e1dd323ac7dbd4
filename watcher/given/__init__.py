"""Settings as they are given: which file counts, who may read it, what is misspelled in it."""
