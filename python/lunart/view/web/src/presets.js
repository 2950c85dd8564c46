// Windows and layouts: the names, keys and values that a chest radiologist knows.
export const WINDOWS = [
  { name: "Lung", key: "1", level: -600, width: 1500 },
  { name: "Mediastinum", key: "2", level: 50, width: 350 },
  { name: "Soft tissue", key: "3", level: 40, width: 400 },
  { name: "Bone", key: "4", level: 400, width: 1800 },
];

export const LAYOUTS = [
  { name: "All", key: "q", view: "all" },
  { name: "Axial", key: "a", view: "axial" },
  { name: "Coronal", key: "c", view: "coronal" },
  { name: "Sagittal", key: "s", view: "sagittal" },
  { name: "3-D", key: "d", view: "render" },
];
