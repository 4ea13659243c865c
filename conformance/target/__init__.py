"""The target file: load, check and describe the implementation under test."""
