"""What a machine with a GPU has to show: that all is right there, and how fast it is. Needs little: torch, numpy,
pydantic, safetensors and this checkout.
"""
