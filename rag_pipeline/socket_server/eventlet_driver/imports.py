"""Imports eventlet without a change to the host program's modules."""

from __future__ import annotations

import sys
import warnings

# Importing eventlet replaces submodules in their parents' attributes by green copies, http.server above all. The host's
# next `http.server.ThreadingHTTPServer` would be a green one that nobody drives.
_host_modules = [
    (sys.modules[parent], child, module)
    for name, module in sys.modules.items()
    for parent, _, child in [name.rpartition(".")]
    if parent in sys.modules and getattr(sys.modules[parent], child, None) is module
]
with warnings.catch_warnings():
    # eventlet warns at import that it is in maintenance: that concerns this package, not its users.
    warnings.simplefilter("ignore")
    import eventlet
    from eventlet import greenio, hubs, patcher, wsgi
for _parent, _child, _module in _host_modules:
    setattr(_parent, _child, _module)
del _host_modules
# It also warns whenever the host program forks, which is harmless: nothing green runs on the host's threads.
warnings.filterwarnings("ignore", message=r"Using fork\(\)", category=DeprecationWarning)

__all__ = ["eventlet", "greenio", "hubs", "patcher", "wsgi"]
