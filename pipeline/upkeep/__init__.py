"""A home that stays in order: what takes room, what may go, what must go, what came from another machine."""
