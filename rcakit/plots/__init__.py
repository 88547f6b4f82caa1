"""Chart functions: records in, an Altair chart out, the message as title."""
