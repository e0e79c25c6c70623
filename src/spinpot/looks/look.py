"""What a check has to say of one system."""

from dataclasses import dataclass

from spinpot.core.notes import Notes


@dataclass(frozen=True)
class Look:
    """A suspicion, the same text for every system it holds for, and what was seen in this one."""

    suspicion: str
    seen: str = ""

    @property
    def text(self) -> str:
        """Both as one sentence: what was seen: the suspicion."""
        return f"{self.seen}: {self.suspicion}" if self.seen else self.suspicion

    def tell(self, notes: Notes, where: str = "") -> None:
        """Add it to notes, with the name of the system where `seen` does not name the place."""
        notes.add(f"look: {self.suspicion}", ": ".join(part for part in (where, self.seen) if part))
