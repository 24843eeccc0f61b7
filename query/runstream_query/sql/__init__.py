"""Every SELECT of the query service. Statements are text from here with bound parameters; nothing that a client
wrote is ever part of a statement."""
