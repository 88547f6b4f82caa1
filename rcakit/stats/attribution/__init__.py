"""Attribute the change of a total to segments of a table with several dimensions."""
