"""Notices: who is told what, when, and that it is mended."""
