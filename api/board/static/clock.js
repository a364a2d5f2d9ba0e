// Site time between two messages. It may run faster than the wall (a demo): the speed is read off the messages.

export class SiteClock {
  #site = null;
  #wall = 0;
  #speed = 1;
  #offset = "Z";

  /** Take the site time of a message. */
  set(instant) {
    const site = Date.parse(instant);
    const wall = performance.now();
    if (this.#site !== null && wall - this.#wall > 800) {
      // Instants are whole seconds: near 1 the difference is rounding, not speed.
      const speed = (site - this.#site) / (wall - this.#wall);
      this.#speed = Math.abs(speed - 1) < 1.5 ? 1 : speed;
    }
    if (this.#site !== null && wall - this.#wall <= 800) return;
    this.#offset = instant.slice(19);
    this.#site = site;
    this.#wall = wall;
  }

  get known() {
    return this.#site !== null;
  }

  /** Site time now, in milliseconds. */
  get now() {
    return this.#site + (performance.now() - this.#wall) * this.#speed;
  }

  /** "11:24" at the site. */
  get text() {
    const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(this.#offset) ?? [null, "+", "0", "0"];
    const shift = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
    return new Date(this.now + shift * 60000).toISOString().slice(11, 16);
  }
}
