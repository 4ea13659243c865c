"""Time capsules: traffic that is planted now and judged days or months later, without any hook."""
