"""Optimizers: what proposes candidates from traces, scores and feedback.

``base`` has the protocol (``ask``/``tell``) and the window on a run; ``registry.make(name, **options)`` makes one of
those that ship: ``optoprime``, ``opro``, ``sfs``, ``paraphrase``, ``random`` and others. Shared: ``meta`` (requests,
answers), ``suggest`` (checked values with one repair), ``operators`` (moves without feedback), ``invariants`` (what a
proposal must keep).
``frontdoor`` is OptoPrime for a training loop of one's own.
"""
