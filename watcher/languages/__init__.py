"""What employees read, in their language: catalogs of messages, and the sentences that pages and
notices share."""
