"""Accounts and their calendars: connecting them, reviving them, ending them."""
