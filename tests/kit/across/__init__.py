"""One small program for each foreign client: it logs a run, shows runs that others logged, and deletes one."""
