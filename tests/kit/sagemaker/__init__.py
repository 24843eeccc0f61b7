"""What drives SageMaker's own client in the tests of its protocol."""
