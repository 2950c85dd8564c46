"""A generated chest CT whose nodules are known: test data and training data without patients.

``generate(seed)`` draws a thorax, ``write(phantom, folder)`` stores it in LUNA16's layout; the
program is ``luna-phantom``. Only NumPy is needed. The same seed, arguments and NumPy give the same
bytes.
"""

from lunart.phantom.files import write
from lunart.phantom.generate import DEFAULT_SHAPE_IRC, generate
from lunart.phantom.types import KINDS, Phantom, PhantomNodule

__all__ = ["DEFAULT_SHAPE_IRC", "KINDS", "Phantom", "PhantomNodule", "generate", "write"]
