"""Why an event is, or is not, in ERPNext: asked of both sides and of the ledger, told in
sentences."""
