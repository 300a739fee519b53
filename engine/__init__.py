"""The engine: compiled kernel, brokers, and what drives the fold.

Importing it points numba at the cache folder that is keyed by the sources, before any compiled
function is defined: numba does not notice a change in a function called from another file.
"""

from data.jitcache import activate

activate()
