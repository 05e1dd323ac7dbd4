"""The long-running processes: web server, workers' supervisor, cron, the embedded Valkey."""
