"""What stands for clock and dashboard where a test looks at what is told."""


class Clock:
    """Time as a test tells it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Published:
    """Stands for `Artifacts`: what is published, made at once."""

    every_s = 5.0

    def __init__(self):
        self.contents = []

    def publish(self, name, make):
        self.contents.append((name, make()))

    def __enter__(self):
        return self

    def close(self, wait_s=0):
        pass

    def last(self, name):
        return [content for published, content in self.contents if published == name][-1]
