"""The rig's own error."""


class RigError(Exception):
    """The machine could not be made, started or understood; the text says what to do."""
