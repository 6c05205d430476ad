"""Inputs made to hurt, for every parser."""
