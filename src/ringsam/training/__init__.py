"""Running the method: settings to objects, Lightning's loop around one step, checkpoints that survive."""
