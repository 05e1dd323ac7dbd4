"""HTTP in: notifications, consent, dashboard, health."""
