"""A stand-in for an ERPNext site (Frappe 15 or 16) over real HTTP, with the REST calls that Watcher
uses. It answers as recorded sites of these versions did, and refuses what they refused."""
