"""A bulk run that moves every subscriber of a plan to another: listed, looked at or carried out, and resumable."""
