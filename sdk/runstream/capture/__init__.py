"""What a run captures by itself: console, environment, system metrics. Never on the training thread, never raising."""
