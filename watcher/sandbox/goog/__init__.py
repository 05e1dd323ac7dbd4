"""A Google to develop against: Calendar API v3, push channels and OAuth over real HTTP."""
