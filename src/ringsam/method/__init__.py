"""The method, free of loops over data: a step is a function of a batch. Plain PyTorch."""
