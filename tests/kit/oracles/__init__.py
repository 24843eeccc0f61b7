"""What results must be, in plain Python that shares no code with the product."""
