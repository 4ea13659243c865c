"""The target file: loading, validation and description of the implementation under test."""
