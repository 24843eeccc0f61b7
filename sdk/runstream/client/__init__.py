"""What training code uses: `init`, `Run`, and what keeps a run going in a process that forks, is stopped, or ends."""
