"""What brings Sagewatch into an account, and out of it: the stack, the image, the spoke accounts' template."""
