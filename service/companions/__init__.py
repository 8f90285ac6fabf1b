"""Programs of streams that run beside the HTTP service, as processes of its own."""

from service.companions.group import Companions
from service.companions.kinds import COMPANIONS

__all__ = ["COMPANIONS", "Companions"]
