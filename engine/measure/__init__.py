"""Measuring the detectors: markets with planted truth, what each says, and how right it is.

Owns the bench behind ``ofs bench detectors``. ``markets`` makes the markets and their null twins,
``listen`` folds them and yields what each detector says, ``match`` holds that against the labels,
``score`` turns it into figures with intervals over seeds, ``bench`` runs it all. It knows what the
detectors are called and which settings open their thresholds; it refuses to know how they work.
"""
