"""ERPNext over REST, behind named errors."""
