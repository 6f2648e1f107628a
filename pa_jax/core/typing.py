"""Array types, and the one glossary of axis letters used in shape annotations and name suffixes.

n  rows: trees, one a prompt          d  model width
p  trunk time                         h  query heads
g  branches of a trunk                k  key/value heads
c  branch time                        z  head width
j  leaves of a branch                 f  feed-forward width
q  leaf time                          e  experts
t  query time (a flat tree row)       m  experts a token
s  key time                           v  vocabulary
b  any leading rows                   l  layers
"""

from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Key, Shaped, UInt32

__all__ = ["Array", "Bool", "DTypeLike", "Float", "Int", "Key", "Shaped", "UInt32"]
