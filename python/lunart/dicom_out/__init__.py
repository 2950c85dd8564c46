"""Results as DICOM objects beside their CT: Segmentation, Structured Report, Secondary Captures.

``luna-dicom`` is the program (``cli``), ``write.write_dicom`` the function. One file an object;
what all of them share of the patient and the study is copied in ``sources``. docs/dicom-out.md says
which codes were chosen and why. Nothing is imported here: the program must be able to say that
highdicom is missing.
"""
