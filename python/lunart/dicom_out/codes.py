"""The coded terms of what is written, each with the context group of PS3.16 that it is from.

Nothing here is private: DCM, SNOMED CT (SCT), LOINC (LN) and UCUM only.
"""

from __future__ import annotations

from typing import Final

from highdicom.sr import CodedConcept

# What a segment and a measurement group are of.
ABNORMAL: Final = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")  # CID 7150
NODULE: Final = CodedConcept("27925004", "SCT", "Nodule")  # CID 7159 and 6104
LUNG: Final = CodedConcept("39607008", "SCT", "Lung")  # CID 6100
SIDES: Final = {
    "left": CodedConcept("7771000", "SCT", "Left"),  # CID 244
    "right": CodedConcept("24028007", "SCT", "Right"),
}
ARTIFICIAL_INTELLIGENCE: Final = CodedConcept("123110", "DCM", "Artificial Intelligence")  # 7162

# What is measured.
VOLUME: Final = CodedConcept("118565006", "SCT", "Volume")  # CID 7469
DIAMETER: Final = CodedConcept("81827009", "SCT", "Diameter")  # CID 7469
#: Of the whole object, weighted: what a finding's centre is.
CENTER_OF_MASS: Final = CodedConcept("128138", "DCM", "Center of Mass")  # CID 219
#: "The certainty that a device places upon a finding": how chest CAD reports say it (TID 4104).
CERTAINTY: Final = CodedConcept("111012", "DCM", "Certainty of Finding")  # CID 6048
CANCER: Final = CodedConcept("111047", "DCM", "Probability of cancer")  # CID 6048
LESIONS: Final = CodedConcept("246206008", "SCT", "Number of lesions")
SUMMARY: Final = CodedConcept("111017", "DCM", "CAD Processing and Findings Summary")
NOTHING: Final = CodedConcept("111241", "DCM", "All algorithms succeeded; without findings")  # 6047

MM: Final = CodedConcept("mm", "UCUM", "mm")
MM3: Final = CodedConcept("mm3", "UCUM", "cubic millimeter")
PERCENT: Final = CodedConcept("%", "UCUM", "Percent")
ONE: Final = CodedConcept("1", "UCUM", "no units")

# Of the report and how it was made.
CT: Final = CodedConcept("25045-6", "LN", "CT unspecified body region")  # CID 100
VOXELS: Final = CodedConcept(  # CID 7474
    "126030", "DCM", "Sum of segmented voxel method for volume"
)
