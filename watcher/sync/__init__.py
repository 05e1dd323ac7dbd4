"""One pass over one calendar: read Google, decide, write to ERPNext, store the outcome."""
