"""Pure room: what a Google event means in ERPNext. Standard library only, no clock, no I/O."""
