"""The cluster form as processes: what runs in it, what is logged to it, and the proof of what it kept."""
