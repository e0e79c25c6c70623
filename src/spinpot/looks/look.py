"""The result of a check of one system."""

from dataclasses import dataclass

from spinpot.core.notes import Notes


@dataclass(frozen=True)
class Look:
    """suspicion: the same text for all systems it holds for; seen: the observation in this system."""

    suspicion: str
    seen: str = ""

    def tell(self, notes: Notes, where: str = "") -> None:
        """Add it to notes. where: name of the system, if `seen` does not name the place."""
        notes.add(f"look: {self.suspicion}", ": ".join(part for part in (where, self.seen) if part))
