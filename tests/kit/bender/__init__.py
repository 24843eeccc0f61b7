"""What drives Bender's own client in the tests of its protocol."""
