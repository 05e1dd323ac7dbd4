"""Watch channels: open, renew, stop."""
