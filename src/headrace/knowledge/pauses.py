"""How long is waited for what does not work now and will again: twice as long each time."""

from typing import Final

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
