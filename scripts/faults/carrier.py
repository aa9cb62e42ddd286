"""The worker as a fault run starts it: the same worker on a clock that can be stepped."""

from scripts.faults.clock import stepped_clock
from worker import main

if __name__ == "__main__":
    main(stepped_clock())
