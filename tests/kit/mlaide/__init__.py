"""What drives ML Aide's own client in the tests of its protocol."""
