"""One run: the loop, its steps, and the folder that it leaves. Empty, so that nothing imports torch by accident."""
