"""A stand-in for an ERPNext site (Frappe v15) over real HTTP, with the REST calls that the
bridge uses. It answers as a recorded site of that version did, and refuses what that refused."""
