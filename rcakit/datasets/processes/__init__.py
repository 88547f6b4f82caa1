"""The chance and clockwork that tables are made of: one small module per process, arrays in, arrays out."""
