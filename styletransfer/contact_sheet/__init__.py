"""Records -> the pages people look at, and the summary for programs. Nothing that renders."""
