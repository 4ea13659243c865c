"""What a run recorded, read back from its journal."""
