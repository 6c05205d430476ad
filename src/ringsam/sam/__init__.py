"""Whose SAM it is: loading, the seam in the encoder, the decoder over many images, preprocessing."""
