"""What is kept as golden files, and the program that adds them."""
