"""Report formats: terminal, HTML, Markdown, JUnit, CTRF, CSV and others."""
