"""The scores and the worst studies as one page that needs neither a network nor JavaScript."""
