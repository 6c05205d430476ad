"""`ringsam bench`: which recipe serves which data best, measured on test masks that nothing was trained or chosen on."""
