"""Files from strangers, mutated: each kind is refused in one line or read as what it was.

A kind of file is a :class:`~tests.fuzz.kinds.FileKind` in a module of this folder; ``KINDS`` in
``test_files.py`` lists them. ``pytest tests/fuzz/test_files.py --mutants 20000 --mutant-seed 1 -s``
tries more of each, with other damage, and prints what became of them.
"""
