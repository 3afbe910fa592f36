"""Read models fed from the log: the journal, and proofs that everything derived from the log still agrees with it."""
