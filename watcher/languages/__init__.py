"""What people read, in their language: catalogs of messages, the sentences that pages and notices
share, and those that are made elsewhere and said later."""
