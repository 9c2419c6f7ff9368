"""What is minimised: moments and their roots, style, content, smoothness, and their sum with its gradient.

Never a file, a URL or the loop that minimises it.
"""
