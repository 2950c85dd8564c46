// NiiVue that draws at most once a frame, however often its parts ask: it waits for the graphics card each
// time it draws, which a slow one (or none) would punish.
import { Niivue } from "@niivue/niivue";

export class Screen extends Niivue {
  // No field initialisers: the constructor of NiiVue already asks.
  updateGLVolume() {
    this.volumesChanged = true;
    this.askForFrame();
  }

  drawScene() {
    if (this.isFlushing) super.drawScene();
    else this.askForFrame();
  }

  // Draws now what is pending.
  flush() {
    this.isFlushing = true;
    try {
      if (this.volumesChanged) {
        this.volumesChanged = false;
        super.updateGLVolume(); // ends with drawScene
      } else {
        super.drawScene();
      }
    } finally {
      this.isFlushing = false;
    }
    this.onDrawn?.();
  }

  askForFrame() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.flush();
    });
  }
}
