"""Whether this installation can work: checks that try each part of it, and say what to do."""
