"""Files from strangers, mutated: each kind is refused in one line or read as what it was.

A kind of file is a :class:`~tests.fuzz.kinds.FileKind` in a module of this folder; ``KINDS`` in
``test_files.py`` lists them. ``pytest tests/fuzz --mutants 100000`` goes through more of each.
"""
