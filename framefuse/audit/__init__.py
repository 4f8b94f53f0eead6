"""The books: the ledger, and the audit that checks it against the topics."""
