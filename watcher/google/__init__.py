"""Google: Calendar API client, consent, access tokens. Nothing in here knows the ledger."""
