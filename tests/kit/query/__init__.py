"""The query service over a real store, and the rows that it reads."""
