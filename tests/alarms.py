"""Interrupts that come while a call runs, or not at all: none is raised behind it."""

import signal


class Alarm:
    """Raises KeyboardInterrupt, as often as `left` says. Makes itself the alarm's handler."""

    def __init__(self):
        self.left = 0
        self.before = signal.signal(signal.SIGALRM, self.ring)

    def ring(self, *_):
        if self.left > 0:
            self.left -= 1
            raise KeyboardInterrupt

    def rings_in(self, call, seconds, times=1):
        """Call; return whether it was interrupted."""
        was_interrupted = True
        try:
            try:
                self.left = times
                signal.setitimer(signal.ITIMER_REAL, seconds, 20e-6 if times > 1 else 0.0)
                call()
                was_interrupted = False
            finally:
                self.left = 0
        except KeyboardInterrupt:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        return was_interrupted

    def restore(self):
        """Make what was the handler before the handler again."""
        signal.signal(signal.SIGALRM, self.before)
