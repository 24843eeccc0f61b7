"""What drives UbiOps' own client in the tests of its protocol."""
