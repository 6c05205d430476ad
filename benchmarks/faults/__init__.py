"""Faults that are really made: killed processes, full disks, lost ranks; and what became of the work."""
