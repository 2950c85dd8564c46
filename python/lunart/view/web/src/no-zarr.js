// Stands in for the package zarrita, which NiiVue would use to read Zarr over a network.
export const open = refuse;
export const root = refuse;
export const registry = new Map();
export class FetchStore {
  constructor() {
    refuse();
  }
}

function refuse() {
  throw new Error("this page reads no Zarr");
}
