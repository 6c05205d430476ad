"""How good are the masks: zero-shot SAM against adapted SAM on the same images, and a page that shows it."""
