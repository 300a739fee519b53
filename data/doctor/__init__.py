"""What can be wrong with a machine or a log, asked one question at a time (``ofs doctor``).

Each module here holds the checks of one thing; :mod:`data.doctor.lines` has the shape of an answer.
"""
