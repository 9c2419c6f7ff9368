"""File bytes to sRGB pixels to tensors and back: formats, headers, colour, sizes. Never where bytes are kept."""
