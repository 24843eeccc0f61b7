"""From what training code has at hand to what is kept: parameters as JSON, files, pictures as PNG."""
