"""Stand-ins for Google and ERPNext over real HTTP, for the demo and the tests."""
