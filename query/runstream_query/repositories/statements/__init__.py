"""The statements of the repositories, and of nobody else. Values enter as bound parameters; nothing that a client
wrote is ever part of a statement."""
