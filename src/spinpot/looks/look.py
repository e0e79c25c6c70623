"""The result of a check of one system."""

from dataclasses import dataclass

from spinpot.core.notes import Notes


@dataclass(frozen=True)
class Look:
    """suspicion: the same text for all systems it holds for; seen: the observation in this system."""

    suspicion: str
    seen: str = ""

    @property
    def text(self) -> str:
        """One sentence: the observation, then the suspicion."""
        return f"{self.seen}: {self.suspicion}" if self.seen else self.suspicion

    def tell(self, notes: Notes, where: str = "") -> None:
        """Add it to notes. where: name of the system, if `seen` does not name the place."""
        notes.add(f"look: {self.suspicion}", ": ".join(part for part in (where, self.seen) if part))
